"""Fetches the foreign programs into .interop/, without root: packages are unpacked, not installed.

One that is installed on this machine is taken as it is. What cannot be had leaves a sentence in its
place, with which the tests that need it fail, unless it was said beforehand that it is not here.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(os.environ.get("INTEROP_FOLDER", Path(__file__).parent.parent / ".interop"))
DEBIAN = FOLDER / "debian"
SECONDS = 120
"""How long one step may take before its tool counts as not to be had."""


class NotHere(Exception):
    """Why a tool cannot be had."""


@dataclass(frozen=True)
class Tool:
    """A foreign program. path: where it is once it has been fetched."""

    name: str
    path: Path
    fetch: Callable[[], None]

    @property
    def found(self) -> Path | None:
        """Where it is, fetched or installed on this machine; None if it is not to be had."""
        installed = shutil.which(
            self.path.name, path=os.pathsep.join((*os.get_exec_path(), "/usr/sbin"))
        )
        found = self.path if self.path.exists() else installed
        return Path(found) if found else None

    @property
    def missing(self) -> Path:
        """The file with the reason why it is not there."""
        return FOLDER / f"{self.name}.missing"


def environment() -> dict[str, str]:
    """The environment in which the unpacked programs find their libraries."""
    libraries = sorted({str(path.parent) for path in DEBIAN.glob("usr/lib/**/*.so*")})
    return os.environ | {"LD_LIBRARY_PATH": ":".join(libraries), "LC_ALL": "C.UTF-8"}


def _run(command: Sequence[str], *, cwd: Path | None = None) -> str:
    program = shutil.which(command[0])
    if program is None:
        raise NotHere(f"there is no {command[0]} on this machine")
    try:
        done = subprocess.run(
            [program, *command[1:]],
            check=True,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            cwd=cwd,
        )
    except subprocess.TimeoutExpired as error:
        raise NotHere(f"{command[0]} took longer than {SECONDS} s") from error
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip() or error.stdout.strip() or "no message").splitlines()[-1]
        raise NotHere(f"{command[0]} failed: {last}") from error
    return done.stdout


def _apt(*arguments: str, cwd: Path = FOLDER) -> str:
    """apt-get with lists and cache of our own, so that it needs no root."""
    state = FOLDER / "apt"
    for name in ("lists/partial", "cache/archives/partial"):
        (state / name).mkdir(parents=True, exist_ok=True)
    options = (f"Dir::State::Lists={state}/lists", f"Dir::Cache={state}/cache")
    settings = [word for option in options for word in ("-o", option)]
    return _run(["apt-get", "-qq", *settings, *arguments], cwd=cwd)


def _debian(package: str) -> None:
    """Unpack a package of Debian's with all that it needs and this machine has not."""
    if not any((FOLDER / "apt" / "lists").glob("*Packages*")):
        _apt("update")
    plan = _apt("-s", "--no-install-recommends", "install", package).splitlines()
    names = [line.split()[1] for line in plan if line.startswith("Inst ")]
    archives = FOLDER / "archives" / package
    archives.mkdir(parents=True, exist_ok=True)
    _apt("download", *names, cwd=archives)
    for archive in sorted(archives.glob("*.deb")):
        _run(["dpkg", "-x", str(archive), str(DEBIAN)])


def _npm(package: str) -> None:
    _run(["node", "--version"])
    folder = FOLDER / "npm"
    folder.mkdir(parents=True, exist_ok=True)
    _run(["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", package])


def _wheel(package: str) -> None:
    """Unpack a package of PyPI's with what it needs; our own environment stays as it is."""
    _run(
        [sys.executable, "-m", "pip", "install", "-q", "--target", str(FOLDER / "wheels"), package]
    )


SCIPY = Tool("scipy", FOLDER / "wheels" / "scipy", lambda: _wheel("scipy==1.17.1"))
TSHARK = Tool("tshark", DEBIAN / "usr/bin/tshark", lambda: _debian("tshark"))
KANNEL = Tool("kannel", DEBIAN / "usr/sbin/bearerbox", lambda: _debian("kannel"))
NPM_SMPP = Tool("npm-smpp", FOLDER / "npm/node_modules/smpp", lambda: _npm("smpp@0.5.1"))
NPM_SEGMENTS = Tool(
    "npm-segments",
    FOLDER / "npm/node_modules/sms-segments-calculator",
    lambda: _npm("sms-segments-calculator@1.3.0"),
)
TOOLS = (TSHARK, KANNEL, NPM_SMPP, NPM_SEGMENTS, SCIPY)


def obtain(tool: Tool) -> str:
    """Fetch a tool unless it is there; says why it cannot be had, or nothing."""
    if tool.found:
        return ""
    FOLDER.mkdir(exist_ok=True)
    try:
        tool.fetch()
    except NotHere as error:
        return str(error)
    return "" if tool.found else f"its package has no {tool.path.name}"


def main() -> None:
    """Fetch whatever is not there yet."""
    FOLDER.mkdir(exist_ok=True)
    for tool in TOOLS:
        reason = obtain(tool)
        if reason:
            tool.missing.write_text(reason, encoding="utf-8")
            sys.stdout.write(f"{tool.name} cannot be had here: {reason}\n")
        else:
            tool.missing.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
