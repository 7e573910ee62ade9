"""The exit codes: each once, and in words in docs/operating.md."""

from service.errors import Misconfigured, Misfit
from service.liveness.exit_codes import ExitCode, exit_code_of
from tests.architecture.tree import ROOT

NUMBERS = {"OK": 0, "BROKE": 1, "USAGE": 64, "LATE": 70, "MISFIT": 78, "INTERRUPTED": 130}


def test_supervisors_rely_on_these_numbers() -> None:
    assert {code.name: code.value for code in ExitCode} == NUMBERS


def test_the_page_for_operators_has_each_code_and_no_other() -> None:
    text = (ROOT / "docs/operating.md").read_text("utf-8")
    table = text.split("| exit code |")[1].split("\n\n")[0]
    rows = [line.split("|")[1].strip() for line in table.splitlines()[2:]]
    assert rows == [str(number) for number in NUMBERS.values()]


def test_a_database_that_does_not_fit_has_a_code_of_its_own() -> None:
    assert exit_code_of(Misfit("x")) is ExitCode.MISFIT
    assert exit_code_of(Misconfigured("x")) is ExitCode.BROKE
