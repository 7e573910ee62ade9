"""Alert rules, dashboard and runbooks are whole, and name what there is.

What they amount to beside a running system, `make watch-test` tries.
"""

import argparse
import re
from itertools import combinations
from typing import Any

import pytest
from tocsin_client.ctl.command import parser

from service.cli import COMMANDS
from tests.architecture.tree import ROOT, text_files
from tests.watch.files import (
    Panel,
    alerts,
    dashboard,
    figures_of,
    looks_at_alerts,
    named_figures,
    panels,
    queries,
)

pytestmark = pytest.mark.xdist_group("tree")

ALERTS = {rule["alert"]: rule for rule in alerts()}
RUNBOOKS = sorted((ROOT / "docs" / "runbooks").glob("*.md"))
PAGES = [path for path in RUNBOOKS if path.name != "README.md"]
CHINESE = ["含义", "有什么风险", "查看", "处理", "找谁", "何时全部停止"]
ENGLISH = ["What it means", "What is at stake", "Look", "Do", "Whom to call", "When to stop all"]
HAN = re.compile(r"[\u4e00-\u9fff]")
COMMAND = re.compile(r"`[^`]*?\btocsin ([a-z-]+)(?: ([a-z-]+)(?: ([a-z-]+))?)?[^`]*`")
SUFFIXES = ("_total", "_bucket", "_count", "_sum")


@pytest.mark.parametrize("rule", ALERTS.values(), ids=ALERTS)
def test_an_alert_says_how_bad_it_is_in_two_languages_and_names_its_page(
    rule: dict[str, Any],
) -> None:
    assert re.fullmatch(r"\d+[mh]", rule["for"])
    assert rule["labels"]["severity"] in {"now", "today"}
    said = rule["annotations"]
    assert set(said) == {"zh", "en", "runbook"}
    assert HAN.search(said["zh"])
    assert said["zh"].endswith("。")
    assert not HAN.search(said["en"])
    assert said["en"].endswith(".")
    page = ROOT / said["runbook"]
    assert f"`{rule['alert']}`" in page.read_text("utf-8")


def test_each_alert_has_a_name_a_page_and_tests_of_its_own() -> None:
    assert len(ALERTS) == len(alerts())
    pages = [rule["annotations"]["runbook"] for rule in alerts()]
    assert sorted(pages) == [str(path.relative_to(ROOT)) for path in PAGES]
    assert looks_at_alerts() == {key: {True, False} for key in ALERTS}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_a_page_says_all_six_things_in_both_languages(page: Any) -> None:
    text = page.read_text("utf-8")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == CHINESE + ENGLISH
    for section in re.split(r"^## .+$", text, flags=re.MULTILINE)[1:]:
        assert section.strip()
    assert page.name in (ROOT / "docs/runbooks/README.md").read_text("utf-8")


@pytest.mark.parametrize("page", RUNBOOKS, ids=lambda path: path.stem)
def test_each_command_of_a_page_exists(page: Any) -> None:
    named = COMMAND.findall(page.read_text("utf-8"))
    unknown = [words for words in named if not is_command(*words)]
    assert not unknown


def is_command(*words: str) -> bool:
    """Whether these are the first words of a command, as far as each has any below it."""
    if words[0] not in COMMANDS:
        return False
    if words[0] != "ctl":
        return True
    found: argparse.ArgumentParser = parser("tocsin ctl")
    for word in filter(None, words[1:]):
        below = [a for a in found._actions if isinstance(a, argparse._SubParsersAction)]
        if not below:
            return True
        if word not in below[0].choices:
            return False
        found = below[0].choices[word]
    return True


def test_a_command_that_is_none_is_seen() -> None:
    assert is_command("ctl", "stop-all", "lift")
    assert is_command("ctl", "uncertain", "decide")
    assert not is_command("ctl", "stop-all", "list")
    assert not is_command("ctl", "everything", "")
    assert not is_command("stop", "", "")
    assert COMMAND.findall("`x; tocsin ctl work list --a`, `tocsin backup now`") == [
        ("ctl", "work", "list"),
        ("backup", "now", ""),
    ]


def test_every_figure_that_is_named_is_one_of_the_programs() -> None:
    source = "".join(text for path, text in text_files() if ROOT / "service" in path.parents)
    known = set(re.findall(r'"(tocsin_[a-z_]+)"', source))
    ages = set(re.findall(r'waiting\(\s*"(tocsin_[a-z_]+)"', source))
    known |= {f"{name}_oldest_seconds" for name in ages}
    for name in named_figures():
        if name.startswith("tocsin_"):
            bare = [name.removesuffix(suffix) for suffix in SUFFIXES]
            assert known & {name, *bare}, name


def test_figures_of_a_query_are_seen() -> None:
    query = 'max(tocsin_stopped) / rate(tocsin_a_total{job="tocsin"}[5m]) or up{job=~"tocsin_x"}'
    assert figures_of(query) == {"tocsin_stopped", "tocsin_a_total", "up"}


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: str(panel["id"]))
def test_a_panel_is_named_in_both_languages_and_asks_the_chosen_source(panel: Panel) -> None:
    chinese, _, english = panel["title"].partition(" / ")
    assert HAN.search(chinese)
    assert english
    assert not HAN.search(english)
    assert panel["type"] in {"stat", "timeseries"}
    assert panel["description"]
    assert panel["fieldConfig"]["defaults"]["unit"]
    source = {"type": "prometheus", "uid": "${source}"}
    assert panel["datasource"] == source
    assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]) > 0
    for target in panel["targets"]:
        assert target["datasource"] == source
        assert target["expr"]


def test_the_dashboard_has_its_source_and_no_panel_hides_another() -> None:
    page = dashboard()
    assert page["uid"]
    assert [one["type"] for one in page["templating"]["list"]] == ["datasource"]
    every = page["panels"]
    assert len({panel["id"] for panel in every}) == len(every)
    for panel in every:
        place = panel["gridPos"]
        assert 0 <= place["x"] < place["x"] + place["w"] <= 24
    for one, other in combinations((panel["gridPos"] for panel in every), 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above, (one, other)


def test_every_alert_can_be_looked_into_on_the_dashboard() -> None:
    """What an alert goes by is drawn, so that whoever is woken sees since when."""
    drawn = set().union(*(figures_of(query) for _, query in queries()))
    for name, rule in ALERTS.items():
        assert figures_of(rule["expr"]) & drawn, name
