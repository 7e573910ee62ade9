"""Debian's packages that tests need: installed as root, named to everybody else."""

import os
import shutil
import subprocess
from collections.abc import Sequence


class NotInstalled(Exception):
    """What is not here, and which packages have it."""


def install(packages: Sequence[str], lacking: str) -> None:
    """Install packages with apt-get. lacking: what is not here, for the message.

    Raises:
        NotInstalled: not root, no apt-get, or a package that cannot be had.
    """
    wanted = f"{lacking}: install {', '.join(packages)} (those are Debian's names)"
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise NotInstalled(wanted)
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
        done = subprocess.run(
            ["apt-get", "-qq", *words], env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            last = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
            raise NotInstalled(f"{wanted}; apt-get {words[0]} failed: {last}")
