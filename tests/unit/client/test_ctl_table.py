"""Whatever an operator or an approver may do over the API is a command of `tocsin ctl`, or there is
a reason why not; and a command asks for nothing that the API does not have.
"""

import argparse
import io
import json
from collections.abc import Iterator
from typing import get_args

import pytest
from pydantic import BaseModel
from tocsin_client.ctl import import_report
from tocsin_client.ctl.command import parser
from tocsin_client.ctl.requests import Request, Take
from tocsin_client.ctl.screen import LANGUAGE, Screen, cell, label, member
from tocsin_client.ctl.table import TABLE
from tocsin_client.ctl.words import WORDS
from tocsin_client.types import CampaignState, LateChoice, MessageClass, MessageState, Priority

from service.accounts.people.model import RIGHTS, Role
from service.api.http.op import Op
from service.api.routes import OPS
from service.audience.imports.report import FIXES, WARNINGS
from service.audience.numbers.number import REASONS
from service.audience.tables.header import _REFUSED
from service.audience.vocabulary.choices import CARRIERS
from service.audience.vocabulary.roles import ROLES
from service.ledger.reasons import Reason

BY_OP = {f"{op.method} {op.path}": op for op in OPS}
MAY = RIGHTS[Role.OPERATOR] | RIGHTS[Role.APPROVER]

BY_HAND = {
    "campaigns approve": "approve_campaign get_campaign preview_campaign",
    "campaigns cancel": "cancel_campaign",
    "campaigns clone": "clone_campaign preview_campaign",
    "campaigns create": "create_campaign preview_campaign",
    "campaigns edit": "edit_campaign",
    "campaigns legs": "list_plan_legs",
    "audit check": "check_trail get_check",
    "cases import": "import_cases",
    "campaigns list": "list_campaigns",
    "campaigns pause": "pause_campaign",
    "campaigns preview": "preview_campaign",
    "campaigns reject": "reject_campaign",
    "campaigns release": "release_campaign",
    "campaigns report": "get_campaign_report",
    "campaigns resume": "resume_campaign",
    "campaigns return": "return_campaign",
    "campaigns show": "get_campaign",
    "campaigns submit": "submit_campaign",
    "channels health": "get_health",
    "channels list": "list_channels",
    "channels queue": "get_queue",
    "imports add": "create_import get_import",
    "imports rejects": "get_rejects",
    "imports show": "get_import",
    "imports undo": "undo_import",
    "legs list": "list_legs",
    "legs preview": "preview_legs",
    "legs show": "get_leg",
    "me show": "get_me",
    "messages cancel": "cancel_message",
    "messages lookup": "look_up_messages",
    "messages send": "send_messages",
    "list-files results": "read_results_file",
    "messages show": "get_message",
    "rosters list": "list_rosters",
    "rounds import": "import_households",
    "groups import": "import_groups",
    "pictures send": "send_picture",
    "runs cancel": "cancel_run",
    "runs correction": "correct_run",
    "runs list": "list_runs",
    "runs messages": "list_messages",
    "runs missed": "get_missed",
    "runs report": "get_report",
    "runs resend-missed": "resend_missed",
    "runs show": "get_run",
    "segments create": "create_segment",
    "segments explain": "explain_segment",
    "segments list": "list_segments",
    "segments preview": "preview_segment",
    "stop-all lift": "lift_stop",
    "stop-all status": "get_stop",
    "stop-all stop": "stop_all",
    "suppressions add": "create_suppressions",
    "suppressions import": "import_suppressions",
    "suppressions lift": "delete_suppression",
    "suppressions list": "list_suppressions look_up_suppressions",
    "templates approve": "approve_template",
    "templates create": "create_template",
    "templates lint": "lint_text",
    "templates list": "list_templates",
    "uncertain decide": "decide_doubts",
    "uncertain list": "list_doubts",
    "uncertain statement": "read_statement",
    "webhooks deliveries": "list_deliveries",
    "work list": "get_work",
    "webhooks list": "list_webhooks",
}
"""The commands that do more than one request, each with the operations it asks for."""

_SESSION = "a session of a browser; the command line has a key, and no password passes it"
WHY_NOT = {
    "login": _SESSION,
    "logout": _SESSION,
    "list_sessions": _SESSION,
    "end_session": _SESSION,
    "change_password": _SESSION,
    "begin_totp": _SESSION,
    "confirm_totp": _SESSION,
}


def _commands(of: argparse.ArgumentParser, above: str = "") -> Iterator[str]:
    for action in of._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                deeper = list(_commands(below, f"{above} {name}".strip()))
                yield from deeper or [f"{above} {name}".strip()]


def test_each_operation_of_an_operator_is_a_command_or_has_a_reason_why_not() -> None:
    commands = set(_commands(parser("tocsin ctl")))
    assert BY_HAND.keys() <= commands
    asked = {name for names in BY_HAND.values() for name in names.split()}
    asked |= {BY_OP[request.op].name for request in TABLE}
    due = {op.name for op in OPS if op.right is None or op.right in MAY}
    assert due - asked - WHY_NOT.keys() == set()
    assert not asked & WHY_NOT.keys(), "there is a command for it now"
    assert asked <= {op.name for op in OPS}


def _names(model: object) -> dict[str, bool]:
    """The members that a model takes, and whether each is needed."""
    fields = getattr(model, "model_fields", {})
    return {field.alias or name: field.is_required() for name, field in fields.items()}


@pytest.mark.parametrize("request_", TABLE, ids=lambda request: f"{request.noun} {request.name}")
def test_a_command_asks_for_what_there_is(request_: Request) -> None:
    op: Op = BY_OP[request_.op]
    given = {place: [take for take in request_.takes if take.place == place]
             for place in ("path", "query", "body", "json")}  # fmt: skip
    assert [take.name for take in given["path"]] == list(op.parameters)
    assert {take.name for take in given["query"]} <= _names(op.query).keys()
    members = {take.name: take.needed for take in given["body"]}
    members |= {request_.reads: True} if request_.reads else {}
    asked = _names(op.body)
    assert members.keys() <= asked.keys()
    if not given["json"]:
        assert {name for name, needed in asked.items() if needed} == {
            name for name, needed in members.items() if needed
        }


@pytest.mark.parametrize("request_", TABLE, ids=lambda request: f"{request.noun} {request.name}")
def test_a_command_shows_what_is_answered(request_: Request) -> None:
    op = BY_OP[request_.op]
    if op.out is None or request_.saves:
        assert request_.shows == ""
        return
    assert isinstance(op.out, type)
    assert issubclass(op.out, BaseModel)
    fields = op.out.model_fields
    if request_.many:
        (item,) = get_args(fields["items"].annotation)
        fields = item.model_fields
        assert (request_.many == "paged") == ("cursor" in _names(op.query))
        if request_.many == "paged":
            assert op.query is not None
            needed = {take.name: (take.choices or ("1",))[0] for take in _needed(request_)}
            if "quarter" in op.query.model_fields:  # one of several ways to say what is meant
                needed["quarter"] = "2027-Q1"
            op.query.model_validate({"limit": request_.at_once, **needed})
    names = {field.serialization_alias or field.alias or name for name, field in fields.items()}
    assert set(request_.shows.split()) <= names
    assert request_.shows, "what is answered is shown"


def _needed(request: Request) -> list[Take]:
    return [take for take in request.takes if take.needed and take.place == "query"]


def test_no_two_commands_have_one_name() -> None:
    names = [(request.noun, request.name) for request in TABLE]
    assert len(names) == len(set(names))
    assert not {f"{noun} {name}" for noun, name in names} & BY_HAND.keys()


def test_each_code_of_a_report_has_words() -> None:
    assert import_report.REJECTED.keys() >= REASONS.keys()
    assert import_report.FIXED.keys() == set(FIXES)
    assert import_report.WARNINGS.keys() == set(WARNINGS)
    assert import_report.REFUSED_KINDS.keys() == _REFUSED.keys()


def test_roles_and_carriers_have_their_chinese_words() -> None:
    assert {*ROLES, *CARRIERS} <= WORDS.keys()


def test_instants_are_shown_to_the_second_and_names_in_the_language_asked_for() -> None:
    assert cell("2027-01-12T09:43:28.356957+08:00") == "2027-01-12T09:43:28+08:00"
    before = LANGUAGE.set("zh")
    try:
        assert cell({"delivered": 3, "china_mobile": 1}) == "已送达 3  中国移动 1"
        assert label("target") == "目标"
    finally:
        LANGUAGE.reset(before)
    before = LANGUAGE.set("en")
    try:
        assert (cell({"delivered": 3}), label("target")) == ("delivered 3", "target")
    finally:
        LANGUAGE.reset(before)


def test_records_of_a_list_are_a_line_each_below_their_member() -> None:
    out = io.StringIO()
    before = LANGUAGE.set("zh")
    try:
        found = {
            "moves": [
                {"from_state": "draft", "to_state": "pending_approval"},
                {"from_state": "pending_approval", "to_state": "scheduled"},
            ],
            "estimate": {"days": 2, "lanes": [{"channel_id": 1, "tps": 485.1485148514851}]},
            "fires": [],
        }
        Screen(as_json=False, out=out).facts(found, ("moves", "estimate", "fires"))
    finally:
        LANGUAGE.reset(before)
    assert out.getvalue().splitlines() == [
        "经过  2",
        "  自 草稿  至 待签发",
        "  自 待签发  至 已排期",
        "预计  天数 2",
        "  通道明细  1",
        "    通道编号 1  每秒条数 485",
        "发送  -",
    ]


def test_a_program_gets_values_as_they_are() -> None:
    out = io.StringIO()
    found = {"state": "pending_approval", "tps": 485.1485148514851}
    before = LANGUAGE.set("zh")
    try:
        Screen(as_json=True, out=out).facts(found, ("state", "tps"))
    finally:
        LANGUAGE.reset(before)
    assert json.loads(out.getvalue()) == found


def test_members_and_their_names_are_in_chinese_by_what_they_hold() -> None:
    before = LANGUAGE.set("zh")
    try:
        plan = {"days": "all", "late": "run", "quiet_days": "keep", "at": "2027-01-12"}
        assert cell(plan) == "适用日 每天  错过时 照发  静默日 不发送  时间 2027-01-12"
        assert cell({"days": 3, "late": True, "at": 7}) == "天数 3  已逾期 是  位置 7"
        assert member("class", "public_interest") == "公益"
        assert member("carrier", "china_mobile") == "中国移动"
        assert member("state", "of_a_newer_server") == "of_a_newer_server"
        assert member("name", "draft") == "draft", "a person's words stay"
        assert cell({"same_text": 3, "validity_over": 1}) == "近期收过同文 3  有效期已过 1"
    finally:
        LANGUAGE.reset(before)
    assert member("state", "draft") == "draft"
    assert [cell(value) for value in (0.5, 2.0, 99.123, 485.9)] == ["0.5", "2", "99.12", "486"]


def test_what_may_hold_a_state_or_reason_has_its_chinese_word() -> None:
    states = {*get_args(CampaignState), *get_args(MessageState)}
    words = {*get_args(MessageClass), *get_args(Priority), *get_args(LateChoice)}
    assert states | words <= WORDS.keys()
    assert all(WORDS[reason] == reason.label for reason in Reason if reason)
