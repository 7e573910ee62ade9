"""The commands of docs/operating.md, run as they stand there.

A block that is run here has `<!-- run: NAME -->` above it. `docker compose` in it is Debian's
docker-compose on podman's socket, and any other `docker` is podman.
"""

import os
import re
from collections.abc import Mapping
from functools import cache

from tests.containers.engine import SOCKET
from tests.containers.machine import FOLDER, ROOT, run
from tests.containers.podman import environment as podman_environment
from tests.containers.town import Town

DOCUMENT = ROOT / "docs" / "operating.md"
BLOCK = re.compile(r"<!-- run: ([a-z-]+) -->\n+```sh\n(.*?)```", re.DOTALL)
DOCKER = """#!/bin/sh
[ "$1" = compose ] || exec podman "$@"
shift
exec docker-compose "$@"
"""


@cache
def blocks() -> dict[str, str]:
    """The blocks by their names."""
    return dict(BLOCK.findall(DOCUMENT.read_text("utf-8")))


def follow(town: Town, name: str, edits: Mapping[str, str] | None = None) -> str:
    """Run a block in the town's folder; what it printed. edits: what is other here, and what it is.

    Raises:
        AssertionError: a command of it failed; with its last words.
    """
    text = blocks()[name]
    for old, new in (edits or {}).items():
        assert old in text, f"{DOCUMENT.name} has no {old!r} in {name}"
        text = text.replace(old, new)
    programs = FOLDER / "programs"
    programs.mkdir(exist_ok=True)
    (programs / "docker").write_text(DOCKER)
    (programs / "docker").chmod(0o755)
    environment = (
        podman_environment()
        | town.compose.settings
        | {
            "DOCKER_HOST": f"unix://{SOCKET}",
            "DOCKER_BUILDKIT": "0",
            "PATH": f"{programs}:{os.environ['PATH']}",
        }
    )
    command = ["bash", "-euo", "pipefail", "-c", text]
    return run(command, cwd=town.folder, env=environment, seconds=1200)
