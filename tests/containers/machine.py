"""The machine that containers run on: what it must have, what is installed, and what it is."""

import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.harness import debian

ROOT = Path(__file__).parents[2]
FOLDER = Path(os.environ.get("CONTAINERS_FOLDER", ROOT / ".containers"))
"""All that is made: images, their layers, volumes. It may be deleted at any time."""

PACKAGES = Path(__file__).parent / "packages.txt"
PROGRAMS = ("podman", "docker-compose", "docker-registry", "mmdebstrap", "runc", "nft")


class NotHere(Exception):
    """Why containers cannot run here, and what to install."""


def packages() -> list[str]:
    """Debian's packages that are needed."""
    lines = PACKAGES.read_text("utf-8").splitlines()
    return [line.split()[0] for line in lines if line.strip() and not line.startswith("#")]


def prepare() -> None:
    """Install what is missing, and make the folder.

    Raises:
        NotHere: not root, no Debian, or a package that cannot be had.
    """
    if os.geteuid() != 0:
        raise NotHere(
            "containers are built and run as root here: run `sudo make image` or "
            f"`sudo make compose-test`; it installs {', '.join(packages())}"
        )
    if missing := [name for name in PROGRAMS if shutil.which(name) is None]:
        try:
            debian.install(packages(), f"{', '.join(missing)} not found")
        except debian.NotInstalled as error:
            raise NotHere(str(error)) from error
    FOLDER.mkdir(mode=0o711, parents=True, exist_ok=True)


def run(
    command: Sequence[str],
    *,
    cwd: Path = ROOT,
    env: dict[str, str] | None = None,
    given: bytes | None = None,
    seconds: float = 600,
) -> str:
    """What a program printed.

    Raises:
        AssertionError: it failed; with its last words.
    """
    done = subprocess.run(
        command, cwd=cwd, env=env, input=given, capture_output=True, check=False, timeout=seconds
    )
    told = done.stdout.decode("utf-8", "replace")
    if done.returncode:
        said = (done.stderr.decode("utf-8", "replace") or told).strip()
        raise AssertionError(
            f"{' '.join(command)[:300]}: exit code {done.returncode}: {said[-3000:]}"
        )
    return told


def described() -> list[str]:
    """The machine and its programs, for whoever reads figures."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cpu = "unknown"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            cpu = line.partition(":")[2].strip()
            break
    groups = 2 if Path("/sys/fs/cgroup/cgroup.controllers").exists() else 1
    system = platform.freedesktop_os_release()["PRETTY_NAME"]
    hardware = f"{os.cpu_count()} cores ({cpu}), {memory:.0f} GiB"
    versions = (
        run(["podman", "--version"]).strip(),
        f"docker-compose {run(['docker-compose', 'version', '--short']).strip()}",
        run(["runc", "--version"]).splitlines()[0],
    )
    return [
        f"{hardware}, {system}, Linux {platform.release()}, control groups version {groups}",
        ", ".join(versions),
    ]
