"""What a container must not be able to do, and how much it may take; read from its process."""

from pathlib import Path

from tests.containers.engine import Compose

NO_RIGHT = "0000000000000000"


def check_closed(compose: Compose, name: str) -> str:
    """No capability, no new rights, a root that cannot be written, limits of memory, processes
    and open files; for the process that does the work, not for what the file says.
    """
    state = compose.container(name)
    pid = _worker(state["State"]["Pid"])
    status = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
    )
    found = {
        key: status[key].split()[0] for key in ("CapEff", "CapPrm", "CapBnd", "NoNewPrivs", "Uid")
    }
    assert found["CapEff"] == found["CapPrm"] == found["CapBnd"] == NO_RIGHT, f"{name}: {found}"
    assert found["NoNewPrivs"] == "1", f"{name} may get new rights"
    assert found["Uid"] != "0", f"{name} runs as root"
    root = Path(f"/proc/{pid}/mountinfo").read_text().splitlines()
    options = next(line.split()[5] for line in root if line.split()[4] == "/")
    assert "ro" in options.split(","), f"{name}: its root is {options}"
    limits = Path(f"/proc/{pid}/limits").read_text().splitlines()
    files = int(next(line for line in limits if line.startswith("Max open files")).split()[3])
    assert files == 16384, f"{name}: {files} open files"
    memory, pids = _group(pid, "memory"), _group(pid, "pids")
    assert memory < 4 << 30, f"{name}: no limit of memory"
    assert pids <= 512, f"{name}: no limit of processes"
    return f"{name} uid {found['Uid']} {memory >> 20} MB {pids} processes"


def _worker(pid: int) -> int:
    """The program's own process: with `init: true` the first one is the init's."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    is_init = "init" in Path(f"/proc/{pid}/comm").read_text()
    return int(children[0]) if is_init and children else pid


def _group(pid: int, controller: str) -> int:
    """The limit of a process's control group, of either version."""
    name = {"memory": ("memory.limit_in_bytes", "memory.max"), "pids": ("pids.max", "pids.max")}
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            folder, file = Path("/sys/fs/cgroup", controller), name[controller][0]
        elif not controllers and Path("/sys/fs/cgroup/cgroup.controllers").exists():
            folder, file = Path("/sys/fs/cgroup"), name[controller][1]
        else:
            continue
        text = (folder / path.lstrip("/") / file).read_text().strip()
        return int(text) if text.isdigit() else 1 << 62
    return 1 << 62


def check_valkey(compose: Compose) -> str:
    """Nobody is let in without the password, also not from a container beside it; none shows it."""
    for words in (
        ["valkey-cli", "ping"],
        ["valkey-cli", "-a", "wrong", "--no-auth-warning", "ping"],
    ):
        told = compose("exec", "-T", "valkey", *words)
        assert "PONG" not in told, "Valkey answers without its password"
        assert "NOAUTH" in told or "WRONGPASS" in told, told
    password = (compose.folder / "deploy/secrets/valkey_password").read_text().strip()
    pid = compose.pid("valkey")
    assert password not in Path(f"/proc/{pid}/cmdline").read_text(), "its words show the password"
    script = (
        "import os, redis\n"
        "redis.Redis.from_url(os.environ['TOCSIN_REDIS_URL']).ping()\n"
        "try:\n"
        "    redis.Redis('valkey').ping()\n"
        "except redis.exceptions.AuthenticationError:\n"
        "    print('refused')\n"
    )
    told = compose(
        *("exec", "-T", "api", "sh", "/usr/local/lib/tocsin/entrypoint.sh", "python", "-c", script)
    )
    assert told.strip() == "refused", told
    return "refuses no password and a wrong one"


def check_inside(compose: Compose) -> str:
    """PostgreSQL and Valkey have no way out, and no port on this machine."""
    for name in ("postgres", "valkey"):
        networks = compose.container(name)["NetworkSettings"]
        assert set(networks["Networks"]) == {"tocsin_inside"}, f"{name}: {networks['Networks']}"
        assert not any(networks["Ports"].values()), f"{name}: {networks['Ports']}"
        pid = compose.pid(name)
        routes = Path(f"/proc/{pid}/net/route").read_text().splitlines()[1:]
        assert all(route.split()[1] != "00000000" for route in routes), f"{name} has a way out"
    return "postgres and valkey: no default route, no published port"
