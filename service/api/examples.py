"""Bodies as they are sent, for the reference, by operation; a test reads each with its model."""

from typing import Any

_TEMPLATE = "01a2b3c4-0000-7000-8000-000000000001"
_SEGMENT = "01a2b3c4-0000-7000-8000-000000000002"
_RUN = "01a2b3c4-0000-7000-8000-000000000003"
_DEPARTMENT = "01a2b3c4-0000-7000-8000-000000000004"
_TEXT = "【旌德县反诈中心】{姓名}您好，转账前请先核实。"

EXAMPLES: dict[str, dict[str, Any]] = {
    "send_messages": {
        "template_id": _TEMPLATE,
        "to": ["197 9000 0001", {"phone": "19790000002", "variables": {"姓名": "王小明"}}],
        "callback_url": "https://sms.example.gov.cn/tocsin",
    },
    "get_statuses": {"ids": [f"{_RUN}.1", f"{_RUN}.2"]},
    "set_members": {
        "members": [{"phone": "19790000001", "name": "王小明", "roles": ["parent"]}],
        "basis": "consent",
        "expires_on": "2027-12-31",
        "evidence": "档案 2027-3",
        "evidence_on": "2027-01-04",
        "evidence_by": "旌阳小学教务处",
        "evidence_how": "paper",
        "evidence_form": "家长告知书第 2 版",
    },
    "create_suppressions": {
        "phone": "197 9000 0001",
        "reason": "opted_out",
        "classes": ["service"],
        "department_id": _DEPARTMENT,
        "note": "来电",
    },
    "create_segment": {"name": "旌阳财务", "rule": "身份 = 财务人员 且 区域 = 旌阳镇"},
    "preview_segment": {"rule": "身份 = 财务人员 且 区域 = 旌阳镇"},
    "explain_segment": {"rule": "年龄 >= 60 且 区域 = 旌阳镇"},
    "create_template": {"name": "转账", "class": "public_interest", "text": _TEXT},
    "add_version": {"text": _TEXT},
    "lint_text": {"text": _TEXT, "class": "public_interest", "values": {"姓名": "王小明"}},
    "approve_template": {"version": 1, "acknowledged": ["R21"]},
    "create_campaign": {
        "name": "财务转账提醒",
        "template_id": _TEMPLATE,
        "segment_id": _SEGMENT,
        "channels": "auto",
        "priority": "normal",
        "schedule": {
            "kind": "once",
            "start_at": "2027-01-20T09:30:00+08:00",
            "send_hours": [["08:00", "20:00"]],
            "late": "hold",
            "validity_minutes": 1440,
        },
    },
    "approve_campaign": {"reason": "读过", "acknowledged": []},
    "return_campaign": {"reason": "请写明咨询电话"},
    "reject_campaign": {"reason": "与上周重复"},
    "pause_campaign": {"reason": "文本有误"},
    "cancel_campaign": {"reason": "不再需要"},
    "stop_all": {"reason": "文本有误，全部停发"},
    "lift_stop": {"reason": "已更正"},
    "decide_doubts": {"ids": [f"{_RUN}.1"], "decision": "delivered", "reason": "运营商确认"},
    "create_webhook": {
        "url": "https://sms.example.gov.cn/tocsin",
        "events": ["message.final", "run.finished"],
    },
    "explain_route": {"phone": "197 9000 0001"},
}
