"""The files of deploy/watch: alert rules and the dashboard, as data."""

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

from tests.architecture.tree import ROOT

WATCH = ROOT / "deploy" / "watch"
ALERTS, ALERTS_TEST = WATCH / "alerts.yml", WATCH / "alerts_test.yml"
DASHBOARD = WATCH / "dashboard.json"
FIGURE = re.compile(r"\b(?:tocsin|process)_[a-z_]+\b|\bup\b(?=[{ ])")
JOBS = re.compile(r'job=~?"[^"]*"')

Panel = dict[str, Any]


def alerts() -> list[dict[str, Any]]:
    """Every alert of the rules."""
    groups = yaml.safe_load(ALERTS.read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def looks_at_alerts() -> dict[str, set[bool]]:
    """By alert: whether a test sees it fire, and whether one sees that it does not."""
    found: dict[str, set[bool]] = {}
    for story in yaml.safe_load(ALERTS_TEST.read_text("utf-8"))["tests"]:
        for look in story.get("promql_expr_test", []):
            named = re.search(r'alertname="(\w+)"', look["expr"])
            assert named, look["expr"]
            found.setdefault(named[1], set()).add(bool(look["exp_samples"]))
    return found


def dashboard() -> dict[str, Any]:
    """The page of Grafana."""
    found: dict[str, Any] = json.loads(DASHBOARD.read_text("utf-8"))
    return found


def panels() -> list[Panel]:
    """Those of the dashboard that show something."""
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def queries() -> Iterator[tuple[str, str]]:
    """Every query of the dashboard under the title of its panel."""
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


def figures_of(query: str) -> set[str]:
    """The names of figures in a query."""
    return set(FIGURE.findall(JOBS.sub("", query)))


def named_figures() -> set[str]:
    """Every figure that the rules or the dashboard name."""
    found = [rule["expr"] for rule in alerts()] + [query for _, query in queries()]
    return set().union(*map(figures_of, found))
