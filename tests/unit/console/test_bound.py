"""The sheet that an approver signs has a line for each key of what the signature binds."""

import ast
import inspect
import json
import textwrap
from dataclasses import fields
from uuid import UUID

from service.campaigns.calendar.schedule import Schedule
from service.campaigns.core.model import Content, Plan
from service.console.plans import bound
from tests.architecture.tree import ROOT


def _bound_keys() -> set[str]:
    """The keys of the canonical content, read from the code that makes it."""
    getter = vars(Content)["canonical"].fget
    tree = ast.parse(textwrap.dedent(inspect.getsource(getter)))
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Dict):
            found |= {k.value for k in node.value.keys if isinstance(k, ast.Constant)}
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            found.add(node.slice.value)
    return {str(key) for key in found}


def test_each_key_that_the_hash_binds_has_a_line() -> None:
    keys = _bound_keys()
    plan = Plan("name", UUID(int=1), UUID(int=2), None, "normal", Schedule(), None)
    least = json.loads(Content(UUID(int=3), "text", "service", "rule", plan).canonical)
    assert least.keys() < keys, "the keys are read from the code as it is"
    assert keys - bound.SHOWN == set(), "bound, and not shown to whoever signs"
    assert bound.SHOWN - keys == set(), "shown as bound, and is not"


def test_each_member_of_a_schedule_stands_in_a_line() -> None:
    labels = {str(line.label) for line in bound.LINES if "schedule" in line.keys}
    assert {field.name for field in fields(Schedule)} == bound.SCHEDULE.keys()
    assert set(bound.SCHEDULE.values()) == labels


def test_what_is_shown_by_itself_is_on_the_page() -> None:
    folder = ROOT / "templates" / "console" / "plans"
    page = "".join((folder / name).read_text("utf-8") for name in ("sign.html", "_signing.html"))
    shown = {
        "template_version_id": "version", "text": "plan.text", "verdict": "review",
        "rule": "plan.frozen_rule", "further": "plan.more_texts", "values": "values",
        "channels": "plan.channels",
    }  # fmt: skip
    assert shown.keys() == bound.ON_THE_PAGE
    for key, name in shown.items():
        assert name in page, key
