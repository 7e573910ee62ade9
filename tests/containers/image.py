"""`make image`: the image of deploy/Dockerfile, built without a registry and without a daemon.

Run: python -m tests.containers.image

Debian's packages make a base that is to the Dockerfile what `python:3.13-slim-trixie` is; podman
builds on it, each step in a chroot, and the result is run as the compose file runs it. A table
is printed; the exit code is 1 if the image is not what it has to be.
"""

import json
import re
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from tests.containers import machine
from tests.containers.digests import check_locked
from tests.containers.machine import FOLDER, ROOT, NotHere
from tests.containers.podman import configure, has_image, podman
from tests.containers.table import Table

BASE_PACKAGES = ("python3", "python3-pip", "python-is-python3", "ca-certificates")
BASE = "localhost/tocsin-base"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
IMAGE = "localhost/tocsin"

CLOSED = (
    *("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
    *("--network", "none", "--tmpfs", "/run/tocsin:mode=1777", "--tmpfs", "/tmp:mode=1777"),
)


def version() -> str:
    """The project's."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return str(project["version"])


def revision() -> str:
    """What the tree is made of: the commit, and whether something differs from it."""
    return machine.run(["git", "describe", "--always", "--abbrev=40", "--dirty"]).strip()


def base() -> str:
    """The base image, made unless there is one of the same packages; its name."""
    recipe = sha256(" ".join(BASE_PACKAGES).encode()).hexdigest()[:12]
    name = f"{BASE}:{recipe}"
    if has_image(name):
        return name
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        archive = Path(folder) / "base.tar"
        machine.run(
            [
                *("mmdebstrap", "--quiet", "--variant=minbase", "--mode=root"),
                f"--include={','.join(BASE_PACKAGES)}",
                # Debian keeps pip from its own Python; this one is nobody's but the image's.
                "--customize-hook=rm $1/usr/lib/python3.13/EXTERNALLY-MANAGED",
                *(
                    "--dpkgopt=path-exclude=/usr/share/doc/*",
                    "--dpkgopt=path-exclude=/usr/share/man/*",
                ),
                "--dpkgopt=path-exclude=/usr/share/locale/*",
                "trixie",
                str(archive),
            ]
        )
        podman("import", "--quiet", str(archive), name)
    return name


def ours() -> tuple[str, str]:
    """The names of both that `build` makes."""
    return f"{IMAGE}:{version()}", f"{IMAGE}-backup:{version()}"


def build(under: str, stage: str = "", root: Path = ROOT, number: str = "") -> str:
    """Build the image on a base, or a stage of it that is an image of its own; its name. root: the
    folder with the files; number: their version, this one's unless it is said.
    """
    name = f"{'-'.join(filter(None, (IMAGE, stage)))}:{number or version()}"
    trusted = ["--volume", f"{CERTIFICATES}:{CERTIFICATES}:ro"] if CERTIFICATES.exists() else []
    podman(
        *("build", "--quiet", "--format", "docker", "--isolation", "chroot", "--network", "host"),
        *("--build-arg", f"BASE={under}", "--build-arg", f"REVISION={revision()}"),
        *trusted,
        *(("--target", stage) if stage else ()),
        *("--file", str(root / "deploy" / "Dockerfile"), "--tag", name, str(root)),
    )
    return name


def said(name: str, *command: str, entrypoint: str | None = None) -> str:
    """What a command in a closed container of the image printed."""
    entry = ["--entrypoint", entrypoint] if entrypoint else []
    return podman("run", "--rm", *CLOSED, *entry, name, *command).strip()


def check_labels(name: str) -> str:
    """The labels name this version and this revision."""
    labels = json.loads(podman("image", "inspect", "--format", "{{json .Labels}}", name))
    found = {key: labels[f"org.opencontainers.image.{key}"] for key in ("version", "revision")}
    wanted = {"version": version(), "revision": revision()}
    assert found == wanted, f"labels say {found}, not {wanted}"
    return f"{found['version']}, {found['revision'][:12]}"


def check_user(name: str) -> str:
    """It runs as a user without rights, which can write nowhere but in the two places in memory."""
    script = (
        "import os, pathlib\n"
        "found = []\n"
        "for folder in ('/', '/opt/tocsin', '/usr/local/lib/tocsin', '/var/lib/tocsin', '/tmp'):\n"
        "    try:\n"
        "        pathlib.Path(folder, 'written').write_text('x')\n"
        "        found.append(folder)\n"
        "    except OSError:\n"
        "        pass\n"
        "status = pathlib.Path('/proc/self/status').read_text()\n"
        "rights = [line.split()[1] for line in status.splitlines() if line.startswith('CapEff')]\n"
        "print(os.getuid(), os.getgid(), rights[0], *found)\n"
    )
    told = said(name, "python", "-c", script)
    assert told == "10001 10001 0000000000000000 /tmp", told
    return "uid 10001, no capability, writes to /tmp alone"


def check_program(name: str) -> str:
    """The program in it is of this version, and holds what deploy/sbom.json lists and no more."""
    script = (
        "import importlib.metadata as m, json\n"
        "print(json.dumps({d.name: d.version for d in m.distributions()}))\n"
    )
    told = json.loads(said(name, "-c", script, entrypoint="/opt/tocsin/bin/python"))
    found = {canonical(package): number for package, number in told.items()}
    assert found.pop("tocsin") == version()
    bill = json.loads((ROOT / "deploy" / "sbom.json").read_text("utf-8"))
    listed = {canonical(part["name"]): part["version"] for part in bill["components"]}
    conditional = {canonical(p["name"]) for p in bill["components"] if "properties" in p}
    assert found.items() <= listed.items(), (
        f"not in deploy/sbom.json: {found.items() - listed.items()}"
    )
    missing = listed.keys() - found.keys() - conditional
    assert not missing, f"in deploy/sbom.json, but not in the image: {missing}"
    return f"{len(found)} packages, as in deploy/sbom.json"


def canonical(package: str) -> str:
    """A package's name as PyPI compares names."""
    return re.sub(r"[-_.]+", "-", package).lower()


def check_starts(name: str) -> str:
    """The entry point makes settings of secrets, and says what is missing in one sentence."""
    told = said(name, "tocsin", "env")
    assert "TOCSIN_DATABASE_URL=" in told
    size = int(podman("image", "inspect", "--format", "{{.Size}}", name)) / 1e6
    return f"{size:.0f} MB with its base"


def check_backup(under: str) -> str:
    """The stage that makes backups has PostgreSQL's programs, and the folders that it writes in."""
    name = build(under, "backup")
    script = (
        "import os, subprocess\n"
        "from service.backup.programs import program\n"
        "for name in ('pg_receivewal', 'pg_basebackup', 'pg_verifybackup', 'postgres'):\n"
        "    subprocess.run([program(name), '--version'], check=True)\n"
        "print(*(os.stat(f'/var/lib/tocsin/{n}').st_uid for n in ('backups', 'backup-work')))\n"
    )
    told = said(name, "python", "-c", script).splitlines()
    assert told[-1] == "10001 10001", told
    assert all(" 18." in line for line in told[:-1]), told
    size = int(podman("image", "inspect", "--format", "{{.Size}}", name)) / 1e6
    return f"{told[0].split()[-1]}, {size:.0f} MB with its base"


CHECKS: tuple[Callable[[str], str], ...] = (check_labels, check_user, check_program, check_starts)


def make(table: Table) -> str:
    """Base, image and what is asked of it, a row each; the image's name."""
    began = time.monotonic()
    under = base()
    table.add("base", time.monotonic() - began, under)
    began = time.monotonic()
    name = build(under)
    table.add("build", time.monotonic() - began, name)
    for check in CHECKS:
        with table.row(check.__name__.removeprefix("check_")) as row:
            row.says(check(name))
    with table.row("images by digest") as row:
        row.says(check_locked())
    with table.row("backup") as row:
        row.says(check_backup(under))
    return name


def main() -> int:
    """Build and check; 1 if a row is red, 2 if containers cannot be built here."""
    try:
        machine.prepare()
    except NotHere as error:
        print(error, file=sys.stderr)
        return 2
    configure()
    print("\n".join(machine.described()), flush=True)
    table = Table("image")
    with table.row("made and looked at"):
        make(table)
    return table.verdict()


if __name__ == "__main__":
    sys.exit(main())
