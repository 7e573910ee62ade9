"""The foreign programs as fixtures, and the carrier that they talk to."""

from pathlib import Path

import pytest

from interop.install import KANNEL, NPM_SEGMENTS, NPM_SMPP, TSHARK, Tool


def _had(tool: Tool) -> Path:
    if not tool.path.exists():
        reason = (
            tool.missing.read_text(encoding="utf-8") if tool.missing.exists() else "not fetched"
        )
        pytest.skip(f"{tool.name} cannot be had here: {reason}")
    return tool.path


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
