"""`make watch-test`: alert rules and dashboard, beside a running system and Debian's Prometheus.

Run: python -m tests.watch.watch

promtool checks and tries the rules. Then a whole system runs, with a broadcast, backups and a
standby, and Prometheus scrapes it with our rules: every figure that rules or dashboard name must be
in its scrapes, and every query of the dashboard must find something. A table is printed, a query a
row, and the dashboard is drawn as build/dashboard.svg; the exit code is 1 if a promise is broken.
"""

import math
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import yaml

from tests.containers.machine import ROOT, NotHere, run
from tests.containers.table import Table
from tests.watch.drawing import draw
from tests.watch.files import (
    ALERTS,
    ALERTS_TEST,
    WATCH,
    alerts,
    looks_at_alerts,
    named_figures,
    queries,
)
from tests.watch.prometheus import Prometheus, prepare, scraping
from tests.watch.system import Watched, watched, work_on

MAY_BE_EMPTY = {"tocsin_errors_total": "no error was logged"}
"""Figures that a system has only where something is so; unit tests show them."""
ASKED = "count(sum by (kind) (rate(tocsin_request_seconds_count[1m])) > 0)"
SCRAPES = 40
PICTURE = ROOT / "build" / "dashboard.svg"


def check_rules() -> str:
    """The rules can be read."""
    return run(["promtool", "check", "rules", str(ALERTS)]).split("SUCCESS: ")[1].strip()


def check_configuration() -> str:
    """Prometheus takes the file of docker-compose.yml; the files that it names are not here."""
    run(["promtool", "check", "config", "--syntax-only", str(WATCH / "prometheus.yml")])
    found = yaml.safe_load((WATCH / "prometheus.yml").read_text("utf-8"))
    jobs = {one["job_name"] for one in found["scrape_configs"]}
    assert jobs == {"tocsin", "tocsin-processes"}, jobs
    return f"{len(jobs)} jobs"


def check_alerts() -> str:
    """Each alert fires when it should, and not before."""
    run(["promtool", "test", "rules", str(ALERTS_TEST)], cwd=WATCH)
    looks = looks_at_alerts()
    names = [rule["alert"] for rule in alerts()]
    half = [name for name in names if looks.get(name) != {True, False}]
    assert not half, f"not seen both firing and at rest: {half}"
    return f"{len(names)} alerts, each seen firing and at rest"


def check_figures(prometheus: Prometheus) -> str:
    """Every figure that is named was scraped."""
    known = set(prometheus.get("label/__name__/values"))
    wanted = named_figures() - MAY_BE_EMPTY.keys()
    missing = sorted(wanted - known)
    assert not missing, f"in no scrape: {', '.join(missing)}"
    return f"{len(wanted)} figures, of {sum(n.startswith('tocsin_') for n in known)} of ours"


def check_silence(prometheus: Prometheus) -> str:
    """In a system that is well no alert fires."""
    firing = {
        alert["labels"]["alertname"]
        for alert in prometheus.get("alerts")["alerts"]
        if alert["state"] == "firing"
    }
    assert not firing, f"firing: {', '.join(sorted(firing))}"
    rules = prometheus.get("rules")["groups"]
    sick = [r["name"] for group in rules for r in group["rules"] if r["health"] != "ok"]
    assert not sick, f"cannot be evaluated: {sick}"
    return f"{sum(len(group['rules']) for group in rules)} rules evaluated, none fires"


def check_query(prometheus: Prometheus, query: str) -> str:
    """A query of the dashboard finds something that can be drawn."""
    found = [float(one["value"][1]) for one in prometheus.ask(query)]
    if any(name in query for name in MAY_BE_EMPTY) and not found:
        return "empty: " + "; ".join(why for name, why in MAY_BE_EMPTY.items() if name in query)
    assert found, f"finds nothing: {query}"
    drawn = [value for value in found if math.isfinite(value)]
    assert drawn, f"finds no number: {query}"
    return f"{len(found)} series, {min(drawn):.4g} to {max(drawn):.4g}"


def look(table: Table, system: Watched, prometheus: Prometheus) -> None:
    """What is asked of Prometheus while the system runs."""
    began = datetime.now(UTC)
    with table.row("broadcast, backup, scrapes") as row:
        target = work_on(system)
        system.copy()
        scrapes = 'min(count_over_time(up{job=~"tocsin.*"}[1h]))'
        prometheus.until_seen(scrapes, "enough scrapes", SCRAPES)
        prometheus.until_seen("count(tocsin_backup_age_seconds)", "a backup is seen", 2)
        prometheus.until_seen(ASKED, "requests of both kinds", 2, meanwhile=system.visit)
        row.says(f"{target:,} people, {prometheus.seen(scrapes):.0f} scrapes of each process")
    for what, check in (("figures scraped", check_figures), ("at rest", check_silence)):
        with table.row(what) as row:
            row.says(check(prometheus))
    for title, query in queries():
        with table.row(title.rpartition(" / ")[2][:34]) as row:
            row.says(check_query(prometheus, query))
    with table.row("drawn") as row:
        PICTURE.parent.mkdir(exist_ok=True)
        PICTURE.write_text(draw(prometheus, began))
        row.says(str(PICTURE.relative_to(ROOT)))


def main() -> int:
    """Try it all; 1 if a row is red, 2 if there is no Prometheus."""
    try:
        prepare()
    except NotHere as error:
        print(error, file=sys.stderr)
        return 2
    print(run(["prometheus", "--version"]).splitlines()[0], flush=True)
    table = Table("watch")
    for what, check in (
        ("rules", check_rules),
        ("configuration", check_configuration),
        ("alerts tried", check_alerts),
    ):
        with table.row(what) as row:
            row.says(check())
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "prometheus").mkdir()
        with (
            watched(folder) as system,
            scraping(
                folder / "prometheus", system.apis, system.key, system.processes
            ) as prometheus,
        ):
            count = len(system.processes) + len(system.apis)
            table.add("system", time.monotonic() - began, f"{count} processes are scraped")
            look(table, system, prometheus)
    return table.verdict()


if __name__ == "__main__":
    sys.exit(main())
