"""Podman with settings, images and networks of its own, apart from any other on this machine."""

import os
import resource
from collections.abc import Sequence

from tests.containers.machine import FOLDER, run

MOST = 65_536
SETTINGS = """
[containers]
default_ulimits = ["nofile={files}:{files}", "nproc={tasks}:{tasks}"]

[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
compat_api_enforce_docker_hub = false

[network]
network_backend = "netavark"
firewall_driver = "nftables"
network_config_dir = "{folder}/networks"
"""
STORAGE = """
[storage]
driver = "overlay"
graphroot = "{folder}/storage"
runroot = "{folder}/running"
"""


def environment() -> dict[str, str]:
    """What podman, and whatever it starts, is told by variables."""
    return os.environ | {
        "CONTAINERS_CONF": str(FOLDER / "containers.conf"),
        "CONTAINERS_STORAGE_CONF": str(FOLDER / "storage.conf"),
        # Podman leaves health checks to timers of systemd; `Health` of engine.py drives them.
        "DISABLE_HC_SYSTEMD": "true",
        "PODMAN_IGNORE_CGROUPSV1_WARNING": "true",
    }


def configure() -> None:
    """Write the settings. Podman would ask for more open files and processes than root may have
    on some machines.
    """
    files, tasks = (
        min(MOST, limit) if limit > 0 else MOST
        for _, limit in map(resource.getrlimit, (resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC))
    )
    for name, text in (("containers.conf", SETTINGS), ("storage.conf", STORAGE)):
        (FOLDER / name).write_text(text.format(folder=FOLDER, files=files, tasks=tasks))


def podman(*words: str, given: bytes | None = None, seconds: float = 600) -> str:
    """What a command of podman printed.

    Raises:
        AssertionError: it failed; with its last words.
    """
    command: Sequence[str] = ["podman", *words]
    return run(command, env=environment(), given=given, seconds=seconds)


def has_image(name: str) -> bool:
    """Whether there is an image of this name."""
    return name in podman("images", "--format", "{{.Repository}}:{{.Tag}}").splitlines()
