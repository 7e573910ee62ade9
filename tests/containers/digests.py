"""deploy/lock-images.sh against Debian's docker-registry on this machine."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.request import Request, urlopen

from service.local.embedded import free_port
from tests.containers.machine import FOLDER, ROOT, run
from tests.containers.podman import environment, podman
from tests.harness.waiting import until_sync

IMAGES = {
    "TOCSIN_GRAFANA_IMAGE": "grafana/grafana:12.1.0",
    "TOCSIN_NGINX_IMAGE": "library/nginx:1.28",
    "TOCSIN_POSTGRES_IMAGE": "library/postgres:18",
    "TOCSIN_PROMETHEUS_IMAGE": "prom/prometheus:v3.5.0",
    "TOCSIN_PYTHON_IMAGE": "library/python:3.13-slim-trixie",
    "TOCSIN_VALKEY_IMAGE": "valkey/valkey:9",
}
SETTINGS = """
version: 0.1
log: {{accesslog: {{disabled: true}}, level: error}}
storage: {{filesystem: {{rootdirectory: {folder}/registry}}}}
http: {{addr: "{address}"}}
"""
PLAIN = '[[registry]]\nlocation = "{address}"\ninsecure = true\n'
FILES = ("docker-compose.yml", "deploy/lock-images.sh", "deploy/images.lock")
DOCKER = '#!/bin/sh\nexec podman "$@"\n'


@contextmanager
def _registry(folder: Path) -> Iterator[str]:
    """A registry that holds nothing, at an address on loopback."""
    address = f"127.0.0.1:{free_port()}"
    (folder / "registry.yml").write_text(SETTINGS.format(folder=folder, address=address))
    (folder / "registries.conf").write_text(PLAIN.format(address=address))
    process = subprocess.Popen(
        ["docker-registry", "serve", str(folder / "registry.yml")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def answers() -> bool:
        assert process.poll() is None, "docker-registry has ended"
        with suppress(OSError), urlopen(f"http://{address}/v2/", timeout=5) as answer:
            return bool(answer.status == 200)
        return False

    try:
        until_sync(answers, 60)
        yield address
    finally:
        process.terminate()
        process.wait(30)


def check_locked() -> str:
    """Each image is locked by the digest that its registry has; one that is missing locks none."""
    with tempfile.TemporaryDirectory(dir=FOLDER) as made:
        folder = Path(made)
        (folder / "deploy").mkdir()
        for name in FILES:
            shutil.copy(ROOT / name, folder / name)
        (folder / "docker").write_text(DOCKER)
        (folder / "docker").chmod(0o755)
        with _registry(folder) as address:
            for image in IMAGES.values():
                _push(folder, f"{address}/{image}")
            given = [f"{address}/{image}" for image in IMAGES.values()]
            _lock(folder, *given)
            once = (folder / "deploy/images.lock").read_text()
            _lock(folder, *given)
            assert (folder / "deploy/images.lock").read_text() == once, "a second run changes it"
            locked = _locked(folder)
            wanted = {
                name: f"{address}/{image}@{_digest(address, image)}"
                for name, image in IMAGES.items()
            }
            assert locked == wanted, f"{locked}, not {wanted}"
            used = run(
                ["docker-compose", "--env-file", "deploy/images.lock", "config", "--images"],
                cwd=folder,
            ).split()
            assert {locked["TOCSIN_POSTGRES_IMAGE"], locked["TOCSIN_VALKEY_IMAGE"]} <= set(used)
            missing = [name.replace("library/postgres", "other/postgres") for name in given]
            _refused(folder, *missing)
            _refused(folder, *given, f"{address}/library/redis:8")
            assert _locked(folder) == wanted, "a failure has changed the file"
            podman("rmi", "--force", *given)
    return f"{len(IMAGES)} images; a missing or an unknown one changes nothing"


def _push(folder: Path, image: str) -> None:
    """An image of one small file, which no other has."""
    archive = folder / "content.tar"
    (folder / "content").write_text(image)
    run(["tar", "--create", "--file", str(archive), "content"], cwd=folder)
    podman("import", "--quiet", str(archive), image)
    podman("push", "--quiet", "--tls-verify=false", image)
    podman("rmi", image)


def _environment(folder: Path) -> dict[str, str]:
    return environment() | {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "CONTAINERS_REGISTRIES_CONF": str(folder / "registries.conf"),
    }


def _lock(folder: Path, *images: str) -> None:
    run(["sh", "deploy/lock-images.sh", *images], cwd=folder, env=_environment(folder))


def _refused(folder: Path, *images: str) -> None:
    try:
        _lock(folder, *images)
    except AssertionError:
        return
    raise AssertionError(f"{images} are locked, though one is not there")


def _locked(folder: Path) -> dict[str, str]:
    text = (folder / "deploy/images.lock").read_text()
    return dict(re.findall(r"^(TOCSIN_[A-Z]+_IMAGE)=(.+)$", text, re.MULTILINE))


def _digest(address: str, image: str) -> str:
    path, _, tag = image.rpartition(":")
    request = Request(f"http://{address}/v2/{path}/manifests/{tag}", method="HEAD")
    for kind in ("oci.image.manifest.v1", "docker.distribution.manifest.v2"):
        request.add_unredirected_header("Accept", f"application/vnd.{kind}+json")
        with suppress(OSError), urlopen(request, timeout=5) as answer:
            return str(answer.headers["Docker-Content-Digest"])
    raise AssertionError(f"the registry has no {image}")
