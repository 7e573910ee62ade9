"""mypy checks the tests as it checks the service, and what it is told to ignore says why."""

import re
import tomllib

from tests.architecture.tree import ROOT, text_files

IGNORED = re.compile(r"# type: ignore(?P<code>\[[a-z, -]+\])?(?P<reason>  # (?!noqa)\S.*)?")


def test_every_folder_of_modules_is_checked() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["mypy"]
    folders = {path.parent.name for path in ROOT.glob("*/*.py")} - {"deploy"}
    assert settings["strict"] is True
    assert {*folders, "tocsin_client"} <= {*settings["packages"]}


def test_an_error_that_mypy_is_told_to_ignore_has_its_code_and_a_reason() -> None:
    bare = [
        f"{path.relative_to(ROOT)}: {found[0]}"
        for path, text in text_files()
        if path.suffix == ".py" and path.name != "test_types.py"
        for found in IGNORED.finditer(text)
        if not (found["code"] and found["reason"])
    ]
    assert bare == []
