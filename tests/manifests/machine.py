"""What `make manifests` needs of the machine, beside Python: systemd-analyze and docker-compose."""

import os
import shutil
import subprocess

from tests.containers.machine import NotHere

PACKAGES = {"systemd-analyze": "systemd", "docker-compose": "docker-compose"}
"""Programs, and Debian's packages with them."""


def prepare() -> None:
    """Install what is missing, as root on Debian.

    Raises:
        NotHere: a program is missing and cannot be installed here.
    """
    missing = [name for program, name in PACKAGES.items() if shutil.which(program) is None]
    if not missing:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise NotHere(f"install {', '.join(missing)} (Debian's names), or run it as root on Debian")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update"], ["install", "-y", "--no-install-recommends", *missing]):
        done = subprocess.run(
            ["apt-get", "-qq", *words], env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            said = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
            raise NotHere(f"install {', '.join(missing)}: apt-get {words[0]} failed ({said})")
