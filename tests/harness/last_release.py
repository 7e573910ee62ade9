"""The last release, built of the commit that `deploy/last-release` names and installed beside the
dependencies of today: its processes work beside those of this version, or in their place.
"""

import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from tests.architecture.tree import ROOT

NAMED = ROOT / "deploy" / "last-release"


class NoHistory(AssertionError):
    """The commit of the last release is not in this clone."""


@dataclass(frozen=True, slots=True)
class Release:
    """A version and its commit."""

    version: str
    commit: str


def last_release() -> Release:
    """The one that `deploy/last-release` names."""
    lines = [line for line in NAMED.read_text("utf-8").splitlines() if not line.startswith("#")]
    (line,) = filter(None, lines)
    return Release(*line.split())


def archive(release: Release, repository: Path = ROOT) -> bytes:
    """The files of a release, as a tar.

    Raises:
        NoHistory: the clone does not have them.
    """
    git = ["git", "-c", "safe.directory=*", "-C", str(repository)]
    done = subprocess.run([*git, "archive", release.commit], capture_output=True, check=False)
    if done.returncode:
        shallow = subprocess.run(
            [*git, "rev-parse", "--is-shallow-repository"], capture_output=True, check=False
        )
        why = {b"true\n": "it is shallow: run `git fetch --unshallow`"}.get(
            shallow.stdout, "clone the repository with its whole history"
        )
        raise NoHistory(
            f"the commit {release.commit} of version {release.version}, which deploy/last-release"
            f" names, is not in {repository}: {why} ({done.stderr.decode().strip()})"
        )
    return done.stdout


def install(release: Release, folder: Path) -> Path:
    """Build a wheel of it and install it in an environment of its own, which takes everything else
    from that of the tests; the environment's folder. No network is needed.
    """
    (source := folder / "source").mkdir()
    subprocess.run(["tar", "x", "-C", source], input=archive(release), check=True)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    own = ["--no-deps", "--no-index"]
    subprocess.run([*pip, "wheel", *own, "--no-build-isolation", "-w", folder, source], check=True)
    environment = folder / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    python = environment / "bin" / "python"
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    asked = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True)
    packages = Path(asked.stdout.strip())
    # A line of a .pth file adds a folder, not the .pth files in it: today's program stays out.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (built,) = folder.glob("tocsin-*.whl")
    subprocess.run([*pip, "--python", python, "install", *own, built], check=True)
    return environment
