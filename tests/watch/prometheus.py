"""Debian's Prometheus: installed if need be, started on a configuration, and asked."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import yaml

from service.local.embedded import free_port
from tests.containers.machine import NotHere, run
from tests.harness import debian
from tests.harness.waiting import until_sync
from tests.watch.files import ALERTS, WATCH

PACKAGE = "prometheus"
SCRAPE_SECONDS = 2
PATIENCE_SECONDS = 120.0


def prepare() -> None:
    """Install Prometheus, and promtool with it, if it is missing.

    Raises:
        NotHere: it is missing and cannot be had.
    """
    if all(map(shutil.which, (PACKAGE, "promtool"))):
        return
    try:
        debian.install([PACKAGE], "promtool not found")
    except debian.NotInstalled as error:
        raise NotHere(str(error)) from error


@dataclass(frozen=True)
class Prometheus:
    """One that runs."""

    url: str

    def get(self, path: str, **words: str) -> Any:
        """What its API answers."""
        with urlopen(f"{self.url}/api/v1/{path}?{urlencode(words)}", timeout=30) as answer:
            body = json.load(answer)
        assert body["status"] == "success", body
        return body["data"]

    def ask(self, query: str) -> list[dict[str, Any]]:
        """What a query finds now: labels and value of each series."""
        found: list[dict[str, Any]] = self.get("query", query=query)["result"]
        return found

    def seen(self, query: str) -> float:
        """The one value of a query; 0 without any."""
        found = self.ask(query)
        return float(found[0]["value"][1]) if found else 0.0

    def until_seen(
        self,
        query: str,
        what: str,
        at_least: float = 1.0,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> None:
        """Wait until a query finds so much, and do something before each look."""

        def seen() -> bool:
            meanwhile()
            return self.seen(query) >= at_least

        until_sync(seen, PATIENCE_SECONDS, lambda: what)


def _configuration(
    apis: Sequence[int], key: Path, processes: Sequence[int], rules: Path
) -> dict[str, Any]:
    """That of docker-compose.yml, more often and with other addresses."""
    found: dict[str, Any] = yaml.safe_load((WATCH / "prometheus.yml").read_text("utf-8"))
    found["global"] = {"scrape_interval": f"{SCRAPE_SECONDS}s", "evaluation_interval": "5s"}
    found["rule_files"] = [str(rules)]
    one, others = found["scrape_configs"]
    one["authorization"] = {"credentials_file": str(key)}
    one["static_configs"] = [{"targets": [f"127.0.0.1:{port}" for port in apis]}]
    others["static_configs"] = [{"targets": [f"127.0.0.1:{port}" for port in processes]}]
    return found


@contextmanager
def scraping(
    folder: Path, apis: Sequence[int], key: str, processes: Sequence[int], rules: Path = ALERTS
) -> Iterator[Prometheus]:
    """Scrape APIs and other processes, by their ports, while the block runs."""
    (folder / "key").write_text(key)
    configuration = folder / "prometheus.yml"
    configuration.write_text(yaml.safe_dump(_configuration(apis, folder / "key", processes, rules)))
    run(["promtool", "check", "config", str(configuration)])
    port = free_port()
    words = [
        *("prometheus", f"--config.file={configuration}"),
        *(f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address=127.0.0.1:{port}"),
    ]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log)
    try:
        found = Prometheus(f"http://127.0.0.1:{port}")
        until_sync(lambda: _is_ready(found.url), PATIENCE_SECONDS, lambda: "Prometheus is ready")
        yield found
    finally:
        process.terminate()
        process.wait(60)


def _is_ready(url: str) -> bool:
    try:
        with urlopen(f"{url}/-/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except URLError:
        return False
