"""The units of deploy/systemd, read by systemd's own programs, and held to docker-compose.yml."""

import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections import defaultdict
from functools import cache
from pathlib import Path

import yaml

from service.liveness.alive_file import OLD_SECONDS
from tests.containers.machine import ROOT, run
from workers.__main__ import KINDS
from workers.channel import GROUPS

FOLDER = ROOT / "deploy" / "systemd"
SYSTEMS = Path("/usr/lib/systemd/system")
"""Where Debian's units are: those that ours name are read from there."""
TARGETS = ("network-online", "time-sync", "multi-user", "timers", "sysinit", "basic", "shutdown")

EXPOSURE = {
    "tocsin-api.service": 1.2,
    "tocsin-backup.service": 1.2,
    "tocsin-backup-check.service": 0.5,
    "tocsin-channel@.service": 1.2,
    "tocsin-migrate.service": 1.2,
    "tocsin-up.service": 1.2,
    "tocsin-worker@.service": 1.2,
}
"""The most that `systemd-analyze security` may find, of 10; what is left is the network."""

ONE_SHOT = {"tocsin-migrate.service", "tocsin-backup-check.service"}
OF_COMPOSE = {
    "tocsin-api.service": "api",
    "tocsin-worker@.service": "workers",
    "tocsin-channel@.service": "channel-mobile",
    "tocsin-migrate.service": "migrate",
    "tocsin-backup.service": "backup",
}
"""The service of docker-compose.yml that a unit stands for."""

Settings = dict[str, list[str]]


@cache
def units() -> dict[str, Settings]:
    """The services, by their names: each setting with all of its values, in their order."""
    found = {}
    for path in sorted(FOLDER.glob("*.service")):
        settings: Settings = defaultdict(list)
        for line in path.read_text("utf-8").splitlines():
            if "=" in line and not line.startswith("#"):
                name, _, value = line.partition("=")
                settings[name].append(value)
        found[path.name] = settings
    return found


def check_verify() -> str:
    """`systemd-analyze verify` has nothing to say, with the programs where they are installed."""
    with tempfile.TemporaryDirectory() as made:
        root = Path(made)
        own, theirs = root / "etc/systemd/system", root / "usr/lib/systemd/system"
        for folder in (own, theirs, root / "opt/tocsin/bin", root / "bin"):
            folder.mkdir(parents=True)
        for path in FOLDER.iterdir():
            shutil.copy(path, own)
        for name in TARGETS:
            shutil.copy(SYSTEMS / f"{name}.target", theirs)
        for program in ("opt/tocsin/bin/tocsin", "bin/sh"):
            (root / program).write_text("#!/bin/sh\n")
            (root / program).chmod(0o755)
        names = sorted(path.name for path in FOLDER.iterdir() if "service" in path.suffix)
        names = [name.replace("@.", "@scheduler.") for name in names]
        names += ["tocsin.target", "tocsin-backup-check.timer"]
        done = subprocess.run(
            ["systemd-analyze", f"--root={root}", "verify", *names],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    said = (done.stdout + done.stderr).strip()
    assert done.returncode == 0, said[-1000:]
    assert not said, said[-1000:]
    return f"{len(names)} units"


def check_security() -> str:
    """`systemd-analyze security` finds no unit more exposed than it was."""
    assert units().keys() == EXPOSURE.keys(), "a unit without its level"
    for name, most in EXPOSURE.items():
        run(
            [
                *("systemd-analyze", "security", "--no-pager", "--offline=true"),
                *(f"--threshold={most * 10:.0f}", str(FOLDER / name)),
            ]
        )
    return f"{len(EXPOSURE)} units, at most {max(EXPOSURE.values())} of 10"


def octets(amount: str) -> int:
    """An amount of memory, as systemd or docker-compose writes it, in MiB."""
    number, unit = re.fullmatch(r"(\d+)([mgMG])", amount).groups()  # type: ignore[union-attr]  # fails
    return int(number) * {"m": 1, "g": 1024}[unit.lower()]


def check_compose() -> str:
    """Each unit has the command, limits and secrets of its service in docker-compose.yml."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]
    for name, service_name in OF_COMPOSE.items():
        unit, service = units()[name], services[service_name]
        assert octets(unit["MemoryMax"][0]) == octets(service["mem_limit"]), name
        assert unit["TasksMax"] == [str(service["pids_limit"])], name
        assert unit["LimitNOFILE"] == [str(service["ulimits"]["nofile"]["hard"])], name
        assert unit["TimeoutStopSec"] == [service["stop_grace_period"].removesuffix("s")], name
        secrets = dict(one.split(":") for one in unit["LoadCredential"])
        assert set(secrets) == set(service["secrets"]), f"{name}: {secrets}"
        assert all(path == f"/etc/tocsin/secrets/{key}" for key, path in secrets.items()), name
        words, started = " ".join(service["command"]), unit["ExecStart"][0].partition(".sh ")[2]
        assert words.startswith(started.replace("%i", "")), f"{name}: {started}, not {words}"
        assert "@" in name or words == started, f"{name}: {started}, not {words}"
    share = 1024 / services["workers"]["cpu_shares"]
    api, worker = (int(units()[n]["CPUWeight"][0]) for n in list(OF_COMPOSE)[:2])
    assert api / worker == share
    return f"{len(OF_COMPOSE)} units"


def check_supervised() -> str:
    """Whatever ends is started again for ever, and whatever shows no life is killed first."""
    for name, unit in units().items():
        if name in ONE_SHOT:
            assert unit["Type"] == ["oneshot"], name
            continue
        assert unit["Type"] == ["notify"], name
        assert unit["NotifyAccess"] == ["main"], name
        assert unit["Restart"] == ["always"], name
        assert unit["StartLimitIntervalSec"] == ["0"], name
        assert int(unit["WatchdogSec"][0]) >= OLD_SECONDS, name
        assert unit["WatchdogSignal"] == ["SIGKILL"], "one that is stopped hears no other"
        assert unit["After"][0].startswith("network-online.target time-sync.target"), name
        assert int(unit["TimeoutStopSec"][0]) >= 60, name
        assert unit["DynamicUser"] == ["yes"] or unit["User"] == ["tocsin"], name
    return f"{len(units()) - len(ONE_SHOT)} units, WatchdogSec={OLD_SECONDS:.0f} and more"


def check_target() -> str:
    """`tocsin.target` begins each kind of worker and each carrier's channels once."""
    text = (FOLDER / "tocsin.target").read_text("utf-8")
    wanted = [
        word for line in re.findall(r"^Wants=(.*)$", text, re.MULTILINE) for word in line.split()
    ]
    names = [f"tocsin-worker@{kind}.service" for kind in KINDS if kind != "channel"]
    names += [f"tocsin-channel@{group}.service" for group in GROUPS]
    assert sorted(wanted) == sorted([*names, "tocsin-api.service"])
    return f"{len(wanted)} processes"


def environment_of(unit: Settings, places: dict[str, str]) -> dict[str, str]:
    """The variables of a unit, with its specifiers replaced."""
    text = " ".join(unit["Environment"])
    for specifier, place in places.items():
        text = text.replace(specifier, place)
    return dict(word.split("=", 1) for word in shlex.split(text))


def check_credentials() -> str:
    """What a unit starts finds its key and its passwords among the credentials of systemd."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        for name in ("credentials", "run"):
            (folder / name).mkdir()
        unit = units()["tocsin-api.service"]
        for one in unit["LoadCredential"]:
            (folder / "credentials" / one.partition(":")[0]).write_text("p@ss/word")
        places = {"%d": str(folder / "credentials"), "%t/%N": str(folder / "run")}
        told = environment_of(unit, places) | {"TOCSIN_DATABASE_HOST": "db.example:5432"}
        told["PATH"] = f"{ROOT / '.venv/bin'}:{os.environ['PATH']}"
        said = run(["sh", str(ROOT / "deploy/entrypoint.sh"), "env"], env=told)
        found = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
        key = Path(found["TOCSIN_KEY_FILE"])
        assert key.read_text() == "p@ss/word"
        assert key.stat().st_mode & 0o777 == 0o600
        assert key.parent == folder / "run"
        assert found["TOCSIN_ALIVE_FOLDER"] == str(folder / "run")
        url = "postgresql://tocsin_service:p%40ss%2Fword@db.example:5432/tocsin"
        assert found["TOCSIN_DATABASE_URL"] == url
        assert "TOCSIN_DATABASE_OWNER_URL" not in found
    return "key of mode 0600, URLs of both servers"
