"""What commands say of themselves, in Chinese where the shell speaks it, and all of it."""

import argparse
import re
from collections.abc import Iterator

import pytest

from service.cli import COMMANDS, command_parser, main
from service.liveness.exit_codes import ExitCode
from service.settings import Settings, describe_environment
from service.words.phrase import Phrase

CHINESE = re.compile(r"[\u4e00-\u9fff]")
OURS = [name for name in COMMANDS if name != "ctl"]  # the client's own, which has its own tests


@pytest.fixture(autouse=True)
def shell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOCSIN_LANGUAGE", "zh_CN.UTF-8")


def _below(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Each argument and command, also of the commands below."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action._choices_actions
            for command in action.choices.values():
                yield from _below(command)
        else:
            yield action


@pytest.mark.parametrize("name", OURS)
def test_every_argument_is_explained_in_chinese(name: str) -> None:
    for action in _below(command_parser([name])):
        assert isinstance(action.help, Phrase), (name, action.dest)
        assert CHINESE.search(action.help.in_language("zh")), (name, action.help)


def test_help_is_in_the_language_of_the_shell(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for language, words in (
        ("zh_CN.UTF-8", ("用法：", "参数", "选项", "--head NO:SEAL", "用主密钥逐条核对审计记录")),
        ("C", ("usage: ", "what it takes", "options", "walk the chain of seals")),
    ):
        monkeypatch.setenv("TOCSIN_LANGUAGE", language)
        shown = ""
        for given in (["audit", "--help"], ["audit", "verify", "--help"]):
            with pytest.raises(SystemExit):
                main(given)
            shown += capsys.readouterr().out
        assert [word for word in words if word not in shown] == []
        assert shown.count(words[0]) == 2, "the usage is named once in each"


def test_wrong_arguments_are_told_in_chinese(capsys: pytest.CaptureFixture[str]) -> None:
    for given, said in (
        (["audit"], "缺少参数：COMMAND"),
        (["password"], "缺少参数：login"),
        (["up", "--protocols", "morse"], "没有模拟通道使用 morse"),
    ):
        with pytest.raises(SystemExit) as end:
            main(given)
        assert end.value.code == ExitCode.USAGE
        assert said in capsys.readouterr().err


def test_every_setting_is_explained_in_both_languages() -> None:
    for name, field in Settings.model_fields.items():
        assert isinstance(field.description, Phrase), name
    chinese, english = describe_environment("zh"), describe_environment()
    told = [line for line in chinese.splitlines() if re.match("# (?!TOCSIN_)", line)]
    assert len(told) == len(Settings.model_fields)
    assert [line for line in told if not CHINESE.search(line)] == []
    assert not CHINESE.search(english)
    names = re.compile(r"^(?:# )?(TOCSIN_\w+=.*)$", re.MULTILINE)
    assert names.findall(chinese) == names.findall(english), "only the words differ"


@pytest.mark.usefixtures("logging_as_before")
def test_what_a_command_prints_of_settings_follows_the_shell(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["env"]) == 0
    assert "# 本县时区" in capsys.readouterr().out
