"""`make bundle-test`: the archives of deploy/bundle, installed where there is no network.

Run: python -m tests.manifests.bundles

Both are packed, signed and looked into. One that was changed, or signed by somebody else, must not
be unpacked. The one for this machine is installed by root and by a user without rights, each in a
network namespace that has nothing but loopback, and `tocsin demo` sends a broadcast there; its
images are loaded, and docker-compose.yml runs of them. As root, on Debian; a table is printed, and
the exit code is 1 if a promise is broken.
"""

import json
import os
import platform
import re
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from hashlib import sha256
from pathlib import Path
from urllib.request import urlopen

from service.local.embedded import free_port
from tests.containers import image, machine, podman, standins
from tests.containers.engine import Compose, service
from tests.containers.machine import ROOT, NotHere, run
from tests.containers.table import Table
from tests.manifests import signatures
from tests.manifests.units import environment_of, units

FOLDER = Path(os.environ.get("BUNDLES_FOLDER", ROOT / "build" / "bundles"))
"""Where archives are made and installed: any user may come there, if it is so outside."""
MACHINES = ("x86_64", "aarch64")
PYTHONS = ("311", "312", "313")
MOST_MEGABYTES = 120
"""Of an archive without images: it is carried on a stick."""
KEY = FOLDER / "key.pem"
NOBODY = 65534
REFUSED = (
    "安装包不完整或被改动过：请重新复制整个文件，解压后再安装。",
    "This archive is incomplete or was changed: copy the whole file again, and unpack it.",
)
NO_PYTHON = (
    "需要 Python 3.11、3.12 或 3.13 及其 venv 模块；没有时请使用容器（docs/install.zh.md）。",
    "It takes Python 3.11, 3.12 or 3.13 with venv; without it, use containers (docs/install.md).",
)
FOREIGN = (
    "安装包不适用于本机的处理器（{}）：请换用相应的安装包。",
    "This archive is not for this processor ({}): take the one that is.",
)

# Loopback alone, up; then no way to new rights and to memory that is both written and run, as the
# units of deploy/systemd have it; then a user, if one is named.
ALONE = """
import ctypes, fcntl, os, socket, struct, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 0x1 | 0x40))
assert [name for _, name in socket.if_nameindex() if name not in ("lo", "tunl0", "sit0")] == []
uid = int(sys.argv[1])
if uid:
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
prctl = ctypes.CDLL(None, use_errno=True).prctl
assert prctl(38, 1, 0, 0, 0) == 0, "no new privileges"
prctl(65, 1, 0, 0, 0)  # Linux 6.3 and newer
os.execvp(sys.argv[2], sys.argv[2:])
"""
IN_NAMESPACE = ("unshare", "--net", "/usr/bin/python3", "-c", ALONE)
ASK = """
from urllib.request import urlopen
print(urlopen("http://127.0.0.1:8080/readyz", timeout=60).read().decode())
"""


def archive_of(machine: str) -> Path:
    """The archive for a kind of machine."""
    (found,) = FOLDER.glob(f"tocsin-*-{machine}.tar")
    return found


def made(machine: str) -> str:
    """Pack the archive; its size."""
    words = ["python3", str(ROOT / "deploy" / "bundle"), machine, "--into", str(FOLDER)]
    run([*words, "--key", str(KEY)], env=podman.environment(), seconds=1800)
    archive = archive_of(machine)
    megabytes = archive.stat().st_size / 1e6
    with tarfile.open(archive) as tar:
        names = tar.getnames()
    has_image = any("/images/" in name for name in names)
    assert has_image == (machine == platform.machine()), "images are those of this machine"
    assert has_image or megabytes < MOST_MEGABYTES, f"{megabytes:.0f} MB"
    told, _ = (archive.parent / f"{archive.name}.sha256").read_text().split()
    assert told == sha256(archive.read_bytes()).hexdigest(), "the sum beside it is another's"
    image = "with" if has_image else "without"
    return f"{megabytes:.0f} MB {image} images, {len(names)} files"


def unpacked(machine: str, into: Path) -> Path:
    """The folder that an archive holds."""
    with tarfile.open(archive_of(machine)) as tar:
        tar.extractall(into, filter="data")
    (folder,) = into.iterdir()
    return folder


def canonical(name: str) -> str:
    """A package's name as wheels compare names."""
    return re.sub(r"[-_.]+", "_", name).lower()


def fits(tags: str, python: str, machine: str) -> bool:
    """Whether a wheel's tags are for a Python and for a machine with glibc 2.28."""
    interpreters, abis, platforms = (part.split(".") for part in tags.split("-"))
    of_python = f"cp{python}" in interpreters or "py3" in interpreters
    of_abi = {f"cp{python}", "none"} & set(abis) != set()
    if "abi3" in abis:
        of_abi = any(int(one[2:]) <= int(python) for one in interpreters if one[:2] == "cp")
        of_python = of_abi
    return of_python and of_abi and any(goes_on(one, machine) for one in platforms)


def goes_on(tag: str, machine: str) -> bool:
    """Whether a platform's tag is that of a machine with glibc 2.28."""
    if tag == "any":
        return True
    if tag in {f"manylinux2014_{machine}", f"manylinux2010_{machine}", f"manylinux1_{machine}"}:
        return True
    found = re.fullmatch(rf"manylinux_2_(\d+)_{machine}", tag)
    return found is not None and int(found[1]) <= 28


def check_wheels(folder: Path, machine: str) -> str:
    """Every package of the lock has a wheel for every Python, and none is for something else."""
    wheels = defaultdict[str, list[str]](list)
    for path in (folder / "wheels").iterdir():
        name, version, tags = re.fullmatch(r"([^-]+)-([^-]+)-(.+)\.whl", path.name).groups()  # type: ignore[union-attr]  # fails
        wheels[f"{canonical(name)}=={version}"].append(tags)
    lock = (folder / "requirements.lock").read_text("utf-8")
    pins = re.findall(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", lock, re.MULTILINE)
    wanted = {f"{canonical(name)}=={version}" for name, version in pins}
    (own,) = wheels.keys() - wanted
    assert own.startswith("tocsin=="), own
    missing = [
        f"{pin} for {python}"
        for pin in [*wanted, own]
        for python in PYTHONS
        if not any(fits(tags, python, machine) for tags in wheels[pin])
    ]
    assert not missing, missing
    foreign = [
        f"{pin}-{tags}"
        for pin, found in wheels.items()
        for tags in found
        if not any(fits(tags, python, machine) for python in PYTHONS)
    ]
    assert not foreign, foreign
    return f"{len(pins)} packages, {sum(map(len, wheels.values()))} wheels, glibc 2.28 and older"


def check_sums(folder: Path) -> str:
    """SHA256SUMS has each file but itself, and each as it is."""
    lines = (folder / "SHA256SUMS").read_text("utf-8").splitlines()
    told = {path: digest for digest, path in (line.split("  ", 1) for line in lines)}
    files = {path for path in folder.rglob("*") if path.is_file()}
    found = {
        str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest()
        for path in files
        if path.name != "SHA256SUMS"
    }
    assert told == found, {*told.items()} ^ {*found.items()}
    secret = [path for path in found if "secrets/" in path or path == "deploy/env"]
    assert not secret, secret
    return f"{len(found)} files"


def refuses(
    folder: Path, why: str, sentences: tuple[str, ...] = REFUSED, path: str = "/usr/bin:/bin"
) -> None:
    """install.sh in this folder says so in two sentences, and installs nothing."""
    into = folder.parent / "refused"
    said = "nothing"
    try:
        run(["/bin/sh", str(folder / "install.sh"), str(into)], env={"PATH": path})
    except AssertionError as error:
        said = str(error).partition("exit code 1: ")[2]
    assert said.splitlines() == list(sentences), f"{why}: it says {said}"
    assert not into.exists(), f"{why}: something was installed"


def check_refused(machine: str) -> str:
    """One that was cut anywhere, one with a changed octet, and a whole one without a Python."""
    with tempfile.TemporaryDirectory(dir=FOLDER) as place:
        whole = archive_of(machine)
        for number, share in enumerate((0.02, 0.5, 0.999)):
            into = Path(place) / f"cut-{number}"
            into.mkdir()
            cut = into / "cut.tar"
            with whole.open("rb") as content, cut.open("wb") as part:
                part.write(content.read(int(whole.stat().st_size * share)))
            try:
                run(["tar", "-xf", str(cut)], cwd=into)
            except AssertionError:
                cut.unlink()
            else:
                raise AssertionError("tar takes a cut archive")
            (folder,) = into.iterdir()
            refuses(folder, f"{share:.0%} of it")
        folder = unpacked(machine, Path(place) / "changed")
        few = Path(place) / "programs"
        few.mkdir()
        for program in ("dirname", "sha256sum", "find", "uname", "id"):
            (few / program).symlink_to(f"/usr/bin/{program}")
        refuses(folder, "no Python", NO_PYTHON, str(few))
        wheel = next((folder / "wheels").glob("tocsin-*.whl"))
        octets = bytearray(wheel.read_bytes())
        octets[len(octets) // 2] ^= 1
        wheel.write_bytes(octets)
        refuses(folder, "one octet is another")
    return "cut at 2 %, 50 %, 99.9 %; one octet changed; no Python"


def check_foreign(folder: Path, machine: str) -> str:
    """The archive for another processor says so before anything is installed."""
    refuses(folder, machine, tuple(one.format(platform.machine()) for one in FOREIGN))
    return f"on {platform.machine()}"


def alone(uid: int, *words: str, home: Path, seconds: float = 900) -> str:
    """What a program prints that a user runs in a namespace without a network."""
    home.mkdir(exist_ok=True)
    os.chown(home, uid, uid)
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(home), "LANG": "C.UTF-8"}
    return run([*IN_NAMESPACE, str(uid), *words], cwd=home, env=environment, seconds=seconds)


def check_installed(folder: Path, uid: int) -> str:
    """install.sh needs no network; `tocsin demo` sends a broadcast of what it installed."""
    home = folder.parent / f"home-{uid}"
    told = alone(uid, "sh", str(folder / "install.sh"), str(home / "tocsin"), home=home)
    program = home / "tocsin" / "bin" / "tocsin"
    assert f"installed: {program}" in told, told
    assert (home / "tocsin" / "deploy" / "entrypoint.sh").exists()
    said = alone(uid, str(program), "demo", "--data", str(home / "demo"), home=home)
    assert "目标 = 各状态之和" in said, said[-500:]
    lines = [line for line in said.splitlines() if line.startswith("✓")]
    return f"{len(lines)} promises of the demo kept"


def check_unit(folder: Path) -> str:
    """What tocsin-up.service starts tells systemd that it works, answers /readyz, and stops."""
    home = folder.parent / f"home-{NOBODY}"
    (home / "state").mkdir()
    os.chown(home / "state", NOBODY, NOBODY)
    places = {"/opt/tocsin": str(home / "tocsin"), "/var/lib/tocsin": str(home / "state")}
    unit = units()["tocsin-up.service"]
    command = unit["ExecStart"][0]
    for place, here in places.items():
        command = command.replace(place, here)
    told = {"NOTIFY_SOCKET": str(home / "notify"), "HOME": str(home)}
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(told["NOTIFY_SOCKET"])
        Path(told["NOTIFY_SOCKET"]).chmod(0o777)
        systemd.settimeout(1)
        with (home / "state" / "up.txt").open("wb") as printed:
            process = subprocess.Popen(
                [*IN_NAMESPACE, str(NOBODY), *command.split()],
                cwd=home, env=environment_of(unit, places) | told, stdout=printed,
            )  # fmt: skip
        try:
            hears(systemd, process, "READY=1\nWATCHDOG=1", float(unit["TimeoutStartSec"][0]))
            said = run(["nsenter", f"--net=/proc/{process.pid}/ns/net", "python3", "-c", ASK])
            assert json.loads(said)["status"] == "ok", said
            process.terminate()
            hears(systemd, process, "STOPPING=1", float(unit["TimeoutStopSec"][0]))
            assert process.wait(int(unit["TimeoutStopSec"][0])) == 0
        finally:
            stop(process)
    logins = re.findall(r"^  login ", (home / "state" / "up.txt").read_text("utf-8"), re.MULTILINE)
    assert len(logins) == 4, logins
    assert (home / "state" / "data.key").stat().st_mode & 0o777 == 0o600
    return "READY=1, /readyz ok, 4 first passwords, stopped with 0"


def stop(process: subprocess.Popen[bytes]) -> None:
    """End it, with the servers that it has started, if it is still there."""
    process.terminate()
    try:
        process.wait(120)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def hears(
    systemd: socket.socket, process: subprocess.Popen[bytes], last: str, seconds: float
) -> None:
    """Wait until a process has said so.

    Raises:
        AssertionError: it has ended, or has not said so in time.
    """
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if systemd.recv(200).decode() == last:
                return
        except TimeoutError:
            assert process.poll() is None, f"it has ended with {process.returncode}"
    raise AssertionError(f"not within {seconds:.0f} s: {last}")


def check_containers(folder: Path) -> str:
    """The images of the archive are enough for docker-compose.yml, by the commands of
    docs/install.md; what this machine had of them before is gone.
    """
    podman.podman("rmi", "--force", *(name for name, _, _ in standins.IMAGES), *image.ours())
    run(["sh", "deploy/make-secrets.sh"], cwd=folder)
    told = podman.podman("load", "--input", str(folder / "images" / "images.tar.gz"))
    port = free_port()
    compose = Compose(folder, TOCSIN_PUBLISH=f"127.0.0.1:{port}")
    with service():
        compose("up", "--detach", "--no-build", "--pull", "never", "--wait", seconds=600)
        with urlopen(f"http://127.0.0.1:{port}/readyz", timeout=60) as answer:
            said = json.loads(answer.read())
    assert said["status"] == "ok", said
    return f"{told.count('Loaded image')} images loaded, all healthy, /readyz ok"


def rows(machine: str, place: Path) -> Iterator[tuple[str, Callable[[], str]]]:
    """What is asked of the archives, in this order."""
    for one in MACHINES:
        yield f"{one}: made", partial(made, one)
        folder = unpacked(one, place / one)
        yield f"{one}: wheels", partial(check_wheels, folder, one)
        yield f"{one}: sums", partial(check_sums, folder)
        if one == machine:
            yield f"{one}: refused", partial(check_refused, one)
            yield f"{one}: installed by root", partial(check_installed, folder, 0)
            yield f"{one}: installed by a user", partial(check_installed, folder, NOBODY)
            yield f"{one}: tocsin-up.service", partial(check_unit, folder)
            yield f"{one}: containers", partial(check_containers, folder)
        else:
            yield f"{one}: refused", partial(check_foreign, folder, one)
            yield f"{one}: signature", partial(signatures.check, archive_of(one), KEY, place)


def make_images() -> str:
    """What docker-compose.yml names, made here, and a key that signs."""
    under = image.base()
    image.build(under)
    image.build(under, "backup")
    standins.make(under)
    signatures.make_key(KEY)
    return f"{', '.join(image.ours())} and {len(standins.IMAGES)} of others"


def main() -> int:
    """Make, look, install; 1 if a row is red, 2 where it cannot be tried."""
    try:
        machine.prepare()
    except NotHere as error:
        print(error, file=sys.stderr)
        return 2
    podman.configure()
    FOLDER.mkdir(parents=True, exist_ok=True)
    table = Table("bundle-test")
    with tempfile.TemporaryDirectory(dir=FOLDER) as made_here:
        Path(made_here).chmod(0o755)
        with table.row("images") as row:
            row.says(make_images())
        for name, check in rows(platform.machine(), Path(made_here)):
            with table.row(name) as row:
                row.says(check())
    return table.verdict()


if __name__ == "__main__":
    sys.exit(main())
