"""What `make manifests` needs of the machine, beside Python: systemd-analyze and docker-compose."""

import shutil

from tests.containers.machine import NotHere
from tests.harness import debian

PACKAGES = {"systemd-analyze": "systemd", "docker-compose": "docker-compose"}
"""Programs, and Debian's packages with them."""


def prepare() -> None:
    """Install what is missing, as root on Debian.

    Raises:
        NotHere: a program is missing and cannot be installed here.
    """
    missing = {program: name for program, name in PACKAGES.items() if shutil.which(program) is None}
    if not missing:
        return
    try:
        debian.install([*missing.values()], f"{', '.join(missing)} not found")
    except debian.NotInstalled as error:
        raise NotHere(str(error)) from error
