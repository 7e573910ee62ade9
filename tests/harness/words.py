"""Words that the service knows, for requests made at random: by field, and whole bodies."""

import itertools
from collections.abc import Callable, Mapping
from typing import Any

from service.api.examples import EXAMPLES
from service.api.routes import OPS
from tests.factories import RULE, TEXT
from tests.harness.bodies import BODIES
from tests.harness.channels import BODY as CHANNEL
from tests.harness.channels import CODE
from tests.harness.photos import png_bomb

PHONES = ["19790000001", "+86 197 9000 0002", "19790000003"]
PASSWORD = "correct horse battery"
COUNTY = "341825000000"
NOTICE = """国务院办公厅关于2027年部分节假日安排的通知　国办发明电〔2026〕9号
一、元旦：1月1日（周五）至3日（周日）放假，共3天。
二、春节：2月5日（农历除夕、周五）至12日（农历正月初七、周五）放假调休，共8天。1月31日（周日）、2月20日（周六）上班。
"""
_numbers = itertools.count(1)


def new_name() -> str:
    """One that nothing has."""
    return f"n{next(_numbers)}"


def new_area_name() -> str:
    """One of a village: with figures it would be no name of a place."""
    return "".join("〇一二三四五六七八九"[int(figure)] for figure in str(next(_numbers))) + "新村"


WORDS: Mapping[str, Callable[[], Any] | list[Any]] = {
    "name": new_name,
    "login": new_name,
    "phone": PHONES,
    "phones": [PHONES, PHONES[:1]],
    "rule": [RULE, "年龄 >= 60 且 区域 = 旌阳镇", "性别 = 女"],
    "text": [TEXT],
    "parent": [COUNTY],
    "area_code": [COUNTY],
    "area_codes": [[COUNTY]],
    "networks": [["10.0.0.0/8"]],
    "rosters": [["r"]],
    "scopes": [["read"], ["reports", "send:text"]],
    "extension": ["96110", "01"],
    "landlines": [[], ["12345"]],
    "carriers": [["china_mobile"]],
    "url": ["https://sms.example.gov.cn/tocsin"],
    "callback_url": ["https://sms.example.gov.cn/tocsin"],
    "events": [["run.finished"], ["message.final"]],
    "day": ["2027-01-11"],
    "from": ["2027-01-11"],
    "to": ["2027-01-31"],
    "due_on": ["2027-02-20"],
    "expires_on": ["2027-12-31"],
    "evidence_on": ["2027-01-01"],
    "expires_at": ["2030-01-01T00:00:00Z"],
    "starts_at": ["2027-02-01T02:00:00Z"],
    "ends_at": ["2027-02-20T09:30:00+08:00"],
    "year": [2027],
    "limit": [5, 100],
    "maintenance": [[]],
    "topic": [""],
    "language": ["zh"],
    "encoding": ["utf-8"],
    "purpose": ["宣传"],
    "rights": [[]],
    "roles": [["viewer"], ["operator"]],
}
"""Most are what the service takes; some only in another state of things."""

USUAL: dict[str, dict[str, Any]] = {
    "create_area": {"parent": COUNTY, "name": "新村"},
    "edit_area": {"population": 7},
    "edit_contact": {"name": "王小明"},
    "create_contact": {"phone": PHONES[0], "roster": "名单", "name": "王小明", "basis": "duty"},
    "confirm_roster": {"expires_on": "2027-12-31"},
    "create_import": {"roster": "另一", "basis": "duty"},
    "import_cases": {"weeks": "2027-W01"},
    "set_fraud_types": EXAMPLES["set_fraud_types"],
    "list_cases": {"from": "2027-W01"},
    "list_relays": {"from": "2027-W01", "to": "2027-W13"},
    "set_goals": EXAMPLES["set_goals"],
    "add_place": EXAMPLES["add_place"],
    "tick_place": {},
    "draw_rollout": {"waves": 2, "every_days": 7, "strata": "county"},
    "set_assessment_rules": EXAMPLES["set_assessment_rules"],
    "state_own_staff_cases": EXAMPLES["state_own_staff_cases"],
    "correct_bulletin": {"reason": "r"},
    "draft_suggestion": {"audiences": ["everyone"], "template_id": "", "name": "n"},
    "set_suggestion_rules": EXAMPLES["set_suggestion_rules"],
    "start_round": EXAMPLES["start_round"] | {"due_on": "2027-02-20", "texts": []},
    "write_household": EXAMPLES["write_household"] | {"on": None},
    "import_households": {},
    "import_groups": {},
    "edit_group": {"members": 190},
    "write_visit_result": EXAMPLES["write_visit_result"] | {"on": None},
    "send_picture": {},
    "mask_picture": {"boxes": [[0, 0, 8, 8]]},
    "recount_coverage": {"quarter": "2027-Q1"},
    "look_up_messages": {"phone": PHONES[0]},
    "add_wording": {"kind": "led"},
    "edit_channel": {"tps": 5},
    "edit_webhook": {"enabled": True},
    "set_filing_required": {"required": False},
    "set_rules": {"reason": "r"},
    "edit_campaign": {"name": "n"},
    "create_channel": CHANNEL,
    "put_code": CODE,
    "set_own_phone": {"phone": PHONES[0]},
    "prove_own_phone": {"code": "123456"},
    "count_hold": {"reason": "the carrier confirms that people wrote"},
    "drop_hold": {"reason": "the carrier knows of no such texts"},
    "finish_milestone": {"note": "n"},
    "add_milestone": {"name": "m", "due_on": "2027-02-20"},
    "top_up": {"reason": "r"},
    "resend_missed": {"reason": "r"},
    "correct_run": {"name": "n", "template_id": "", "schedule": {"kind": "now"}},
    "name_deputy": {
        "deputy_id": "",
        "starts_at": "2027-02-01T02:00:00Z",
        "ends_at": "2027-02-20T09:30:00+08:00",
        "reason": "r",
    },
    "import_notice": {"text": NOTICE},
    "preview_schedule": {"schedule": {"kind": "now"}},
    "plan_around": {"festival": "spring_festival", "days": [-20, 0], "year": 2027, "time": "10:00"},
    "set_caps": {
        "class": "service",
        "per_day": 9,
        "per_week": 9,
        "per_month": 9,
        "same_text": True,
        "reason": "r",
    },
    "propose_limit": {"limit": 5_000, "reason": "r"},
    "import_suppressions": {"reason": "complaint"},
    "export_suppressions": {"why": "r"},
    "look_up_suppressions": {"phone": PHONES[0]},
    "import_prefixes": {"source": "2026-10"},
    "import_overrides": {},
    "delete_override": {"phone": PHONES[0]},
    "set_override": {"phone": PHONES[0], "carrier": "china_unicom"},
    "read_statement": {"channel_id": 1, "reason": "r"},
    "read_results_file": {"reason": "r"},
    "replay": {"since": "2027-01-01T00:00:00Z"},
    "look_up_person": {"phone": PHONES[0], "reason": "r"},
    "agree_to_retention": {"jumped_at": "2027-01-12T09:30:00+08:00"},
    "erase_person": {"phone": PHONES[2], "reason": "r"},
    "send_messages": {"to": PHONES[:1], "text": TEXT, "class": "service"},
    "create_user": {"login": "l", "name": "n", "roles": ["viewer"]},
    "edit_user": {"name": "n"},
    "create_key": {"user_id": "", "name": "k"},
    "set_filing": {"channel_id": 1, "version": 1, "state": "filed"},
    "test_campaign": {},
    "change_password": {"current": PASSWORD, "new": "quite another battery"},
    "begin_totp": {"password": PASSWORD},
}
"""Bodies, or queries, that are taken if things stand well; an id is put in from what is there."""

FILES = {
    "import_cases": "周次,乡镇,类型,起数,损失\n2027-W01,旌阳镇,T01,1,800\n".encode(),
    "import_households": "村编码,户号,结果,人数\n341825100001,三组7号,已告知,2\n".encode(),
    "import_groups": "群名,群主电话\n三组群,19790000001\n".encode(),
    "send_picture": png_bomb(64, 64),
    "create_import": "手机号,姓名\n19790000001,王小明\n19790000004,李小红\n".encode(),
    "import_suppressions": b"phone\n19790000005\n",
    "import_prefixes": "号段,运营商\n1979000,联通\n".encode(),
    "import_overrides": "手机号,运营商\n19790000001,联通\n".encode(),
    "read_statement": "手机号码,提交时间,状态\n19790000001,2027-01-12 09:31:00,成功\n".encode(),
    "read_results_file": "编号,手机号码,状态\n,19790000001,成功\n".encode(),
}


_QUERIES: dict[str, dict[str, Any]] = {
    "delete_code": {name: CODE[name] for name in ("kind", "applies_to", "code")},
    "get_report_of_erasures": {"since": "2027-01-01", "until": "2027-01-31"},
    "get_coverage": {"quarter": "2027-Q1"},
    "get_effect": {"period": "2027-Q1"},
    "get_assessment": {"period": "2027-Q1"},
    "export_coverage": {"quarter": "2027-Q1"},
    "list_households": {"area": "341825100001"},
    "get_round_form": {"area": "341825100001"},
    "get_duty_document": {"sheet": "late"},
    "list_covered_people": {"quarter": "2027-Q1", "purpose": "visit"},
}
"""Where the names of what is needed do not say what it may be."""


def usual_queries() -> dict[str, dict[str, Any]]:
    """By operation: what a query needs, so that there is an answer."""
    found = {}
    for op in OPS:
        fields = op.query.model_fields.items() if op.query is not None else ()
        needed = [field.alias or name for name, field in fields if field.is_required()]
        words = {name: WORDS.get(name) for name in needed}
        found[op.name] = {name: some[0] for name, some in words.items() if isinstance(some, list)}
    return found | _QUERIES


def usual_bodies() -> dict[str, dict[str, Any]]:
    """By operation: what others send, or what a test of single fields begins from."""
    found = {
        op.name: EXAMPLES.get(op.name)
        or BODIES.get(op.path)
        or ({"reason": "r"} if "reason" in op.body.model_fields else {})
        for op in OPS
        if op.body is not None
    }
    return {name: dict(body) for name, body in found.items()} | USUAL
