"""The foreign programs as fixtures; no test of them is left out unless that was said beforehand.

`INTEROP_WITHOUT=kannel,tshark` names those that this machine does without; their tests are skipped.
Any other that cannot be had, and any other skip, fails the run: a green run means that all ran.
"""

import os
from pathlib import Path

import pytest

from interop.install import KANNEL, NPM_SEGMENTS, NPM_SMPP, SCIPY, TOOLS, TSHARK, Tool

WITHOUT = frozenset(filter(None, os.environ.get("INTEROP_WITHOUT", "").split(",")))
EXCUSED = "INTEROP_WITHOUT names it"

_used: set[str] = set()


def _had(tool: Tool) -> Path:
    """Where a program is, fetched or installed; without it the test fails, or is skipped."""
    if tool.name in WITHOUT:
        pytest.skip(f"{tool.name}: {EXCUSED}")
    found = tool.found
    if found is None:
        reason = tool.missing.read_text("utf-8") if tool.missing.exists() else "not fetched"
        pytest.fail(
            f"{tool.name} was expected and cannot be had: {reason}; run interop/run, install it, "
            f"or name it in INTEROP_WITHOUT",
            pytrace=False,
        )
    _used.add(tool.name)
    return found


@pytest.fixture(scope="session")
def tshark() -> Path:
    return _had(TSHARK)


@pytest.fixture(scope="session")
def kannel() -> Path:
    """The folder of bearerbox and smsbox."""
    return _had(KANNEL).parent


@pytest.fixture(scope="session")
def npm_smpp() -> Path:
    """The folder of the module."""
    return _had(NPM_SMPP)


@pytest.fixture(scope="session")
def npm_segments() -> Path:
    """The folder of the module."""
    return _had(NPM_SEGMENTS)


@pytest.fixture(scope="session")
def scipy() -> Path:
    """The folder that Python finds it in."""
    return _had(SCIPY).parent


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a name in INTEROP_WITHOUT that is none: it would excuse nothing, and nobody knew."""
    unknown = WITHOUT - {tool.name for tool in TOOLS}
    if unknown:
        known = ", ".join(tool.name for tool in TOOLS)
        raise pytest.UsageError(f"INTEROP_WITHOUT: {', '.join(sorted(unknown))}; there are {known}")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail a run in which something was skipped, or a program not used, that should have been."""
    if exitstatus:
        return
    faults = [f"skipped, and nobody expected it: {text}" for text in _unexpected(session.config)]
    if not (session.config.option.keyword or session.config.option.collectonly):
        unused = {tool.name for tool in TOOLS} - WITHOUT - _used
        faults += [f"{name} was expected and no test has run with it" for name in sorted(unused)]
    if faults:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        session.config.stash[_FAULTS] = faults


_FAULTS = pytest.StashKey[list[str]]()


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say so."""
    for fault in config.stash.get(_FAULTS, []):
        terminalreporter.write_line(f"interop: {fault}", red=True)


def _unexpected(config: pytest.Config) -> list[str]:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    return [str(report.longrepr) for report in skipped if EXCUSED not in str(report.longrepr)]
