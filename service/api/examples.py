"""Bodies as they are sent, for the reference, by operation; a test reads each with its model.

Those of an upload are the fields of its form, beside the file.
"""

from typing import Any

_TEMPLATE = "01a2b3c4-0000-7000-8000-000000000001"
_SEGMENT = "01a2b3c4-0000-7000-8000-000000000002"
_RUN = "01a2b3c4-0000-7000-8000-000000000003"
_USER = "01a2b3c4-0000-7000-8000-000000000004"
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
    "compose_segment": {
        "terms": [
            {"field": "role", "operator": "in", "values": ["finance", "owner"]},
            {"field": "age", "operator": ">=", "values": [60]},
            {"field": "area", "operator": "not in", "values": ["341825100000"]},
        ]
    },
    "create_template": {"name": "转账", "class": "public_interest", "text": _TEXT},
    "add_version": {"text": _TEXT},
    "check_text": {
        "text": "【旌德县公安局】公检法不会电话办案，没有“安全账户”，请先挂断，再拨110核实。"
    },
    "lint_text": {"text": _TEXT, "class": "public_interest", "values": {"姓名": "王小明"}},
    "approve_template": {"version": 1, "acknowledged": ["R21"]},
    "offer_template": {"version": 1, "kinds": ["town", "school"], "direct": True},
    "take_offer": {"signature": "旌德县反诈中心"},
    "withdraw_offer": {"reason": "电话号码有误", "stop": False},
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
    "create_department": {
        "name": "旌阳小学",
        "kind": "school",
        "signature": "旌阳小学",
        "weight": 20,
    },
    "set_people": {
        "liaison": {"name": "李四", "phone": "19790000001"},
        "leader": {"name": "王小明", "phone": "19790000002"},
    },
    "edit_department": {"leader": "王校长", "daily_quota": 5000},
    "register_signature": {"signature": "旌德县教体局"},
    "register_extension": {"extension": "01"},
    "propose_limit": {"limit": 5000, "reason": "高考前每天通知考生"},
    "propose_change": {
        "config": {"host": "192.0.2.20", "secret": "the secret, entered anew"},
        "reason": "运营商迁移网关",
    },
    "create_guests": {"phones": ["197 9000 0001"], "note": "办公室王老师"},
    "create_user": {"login": "wang", "name": "王老师", "roles": ["operator"]},
    "edit_user": {"roles": ["viewer"], "disabled": False},
    "login": {"login": "wang", "password": "correct horse battery", "code": "123456"},
    "change_password": {"current": "gm74ejekc2b6kzvd", "new": "correct horse battery"},
    "begin_totp": {"password": "correct horse battery"},
    "confirm_totp": {"code": "123456"},
    "create_key": {
        "user_id": _USER,
        "name": "家校平台 测试",
        "mode": "test",
        "scopes": ["read", "send:template"],
        "expires_at": "2027-12-31T23:59:59+08:00",
        "networks": ["203.0.113.0/24"],
    },
    "rotate_key": {"overlap_hours": 24},
    "name_deputy": {
        "deputy_id": _USER,
        "starts_at": "2027-02-01T00:00:00+08:00",
        "ends_at": "2027-02-08T00:00:00+08:00",
        "reason": "出差",
    },
    "set_own_phone": {"phone": "197 9000 0001"},
    "prove_own_phone": {"code": "123456"},
    "propose_link": {"subject": "wangxm"},
    "set_notices": {"kinds": ["approval", "returned"], "way": "text", "language": "zh"},
    "count_hold": {"reason": "the carrier confirms that people wrote"},
    "drop_hold": {"reason": "the carrier knows of no such texts"},
    "count_suppression_entry": {"reason": "信访局来函已核对"},
    "drop_suppression_entry": {"reason": "录入有误"},
    "create_import": {"roster": "财务人员", "basis": "duty", "expires_on": "2027-12-31"},
    "confirm_roster": {"basis": "duty", "expires_on": "2028-12-31", "purpose": "反诈提醒"},
    "import_cases": {"weeks": "2027-W03"},
    "set_goals": {
        "items": [
            {
                "key": "G2",
                "title": "全部电信网络诈骗一季度下降20%",
                "period": "Q1",
                "year": 2027,
                "target_change_pct": -20,
            }
        ],
        "reason": "年度目标",
    },
    "correct_bulletin": {"reason": "一起案件改为上周立案"},
    "set_case_settings": {
        "bulletin_villages": "own",
        "public_towns": "quarter",
        "reason": "案件少，乡镇按季公布",
    },
    "draft_suggestion": {
        "audiences": ["shop", "women"],
        "template_id": "019bb0f0-0000-7000-8000-000000000000",
        "name": "提醒网店和妇女：冒充客服",
    },
    "dismiss_suggestion": {"reason": "上周已在镇上讲过"},
    "set_suggestion_rules": {
        "items": [{"fraud_type": "T07", "audiences": ["finance", "owner", "elderly"]}],
        "reason": "按上季度受害人情况调整",
    },
    "set_fraud_types": {
        "items": [
            {
                "key": "T01",
                "slug": "task",
                "name": "刷单返利",
                "english": "fake tasks and rebates",
                "in_texts": "刷单返利",
                "four_high": True,
            }
        ]
    },
    "create_contact": {
        "roster": "财务人员",
        "phone": "197 9000 0001",
        "name": "王小明",
        "roles": ["finance"],
        "expires_on": "2027-12-31",
    },
    "edit_contact": {"name": "王晓明", "tags": ["网格员"]},
    "create_area": {"parent": "341825000000", "name": "新镇", "code": "341825199000"},
    "edit_area": {"population": 12000},
    "look_up_contacts": {"phone": "197 9000 0001"},
    "look_up_suppressions": {"phone": "197 9000 0001"},
    "import_suppressions": {"reason": "opted_out", "note": "中国移动 2027-01"},
    "export_suppressions": {"why": "与运营商核对", "reason": "opted_out"},
    "set_caps": {
        "class": "public_interest",
        "per_day": 1,
        "per_week": 2,
        "per_month": 6,
        "same_text": True,
        "reason": "群众反映过多",
    },
    "set_denominators": {
        "items": [
            {
                "area": "341825100000",
                "kind": "phones",
                "people": 31_200,
                "source": "三家运营商合计",
                "as_of": "2027-01-01",
            }
        ]
    },
    "start_followup": {
        "run": "0190f3a2-7c1d-7a44-9f32-5c6b1e0f9a10",
        "steps": ["again", "visit"],
        "due_on": "2027-01-31",
    },
    "decide_other_channels": {"decision": "send", "reason": "联通通道今天恢复"},
    "sign_off_followup": {"area": "341825100001", "note": "逐户核对过"},
    "cancel_followup": {"reason": "已由镇里统一走访"},
    "take_visit_list": {"area": "341825100001", "reason": "今天下午入户"},
    "write_visit_result": {
        "key": "5d2c7f0e-9b1a-4c6e-8f3d-2a1b0c9d8e7f",
        "result": "told",
        "on": "2027-01-20",
    },
    "recount_coverage": {"campaign": "0190f3a2-7c1d-7a44-9f32-5c6b1e0f9a10"},
    "edit_segment": {"rule": "身份 = 财务人员"},
    "set_filing": {"channel_id": 1, "version": 1, "state": "filed", "reference": "AH-2027-0001"},
    "set_filing_required": {"required": True},
    "set_rules": {"levels": {"R14": "review"}, "hotlines": ["96110"], "reason": "县里的要求"},
    "set_sender": {"landlines": ["0563-8600110"], "reason": "教体局值班电话"},
    "edit_campaign": {"name": "财务转账提醒（二）", "priority": "bulk"},
    "clone_campaign": {"name": "财务转账提醒 二月"},
    "add_milestone": {"name": "首批发送", "due_on": "2027-01-31"},
    "finish_milestone": {"note": "已完成"},
    "preview_legs": {
        "legs": [{"department_id": _DEPARTMENT, "areas": ["341825100000"]}],
        "class": "public_interest",
    },
    "take_leg": {"areas": ["341825100000"], "max_tps": 200},
    "return_leg": {"reason": "本周网络割接，请改到下周"},
    "ask_again": {"reason": "已改期"},
    "draw_list": {"channel_id": 7, "reason": "本周宣传"},
    "fetch_archive": {"reason": "交平台发送"},
    "give_counts": {
        "run_id": "01a2219f-1a29-7af4-9b75-d0a467ccc335",
        "delivered": 1880,
        "undelivered": 120,
    },
    "test_campaign": {},
    "release_campaign": {"reason": "已核对"},
    "resume_campaign": {"reason": "已核对"},
    "top_up": {"reason": "新入职的财务人员"},
    "preview_schedule": {
        "schedule": {
            "kind": "recurring",
            "start_at": "2027-01-20T09:30:00+08:00",
            "rrule": "FREQ=MONTHLY;BYMONTHDAY=20",
        },
        "count": 5,
    },
    "plan_around": {"festival": "spring_festival", "year": 2028, "days": [-7, -1], "time": "09:30"},
    "set_holidays": {
        "quiet": [{"name": "中考", "first": "2027-06-14", "last": "2027-06-16"}],
        "reason": "考试期间不打扰",
    },
    "import_notice": {"text": "国务院办公厅关于2028年部分节假日安排的通知 …"},
    "set_send_hours": {
        "classes": {
            "public_interest": {
                "allowed": [["08:00", "20:00"]],
                "limit": [["07:00", "22:00"]],
                "preferred": [["09:00", "11:30"]],
            }
        },
        "audiences": {"elderly": [["08:30", "18:00"]]},
        "reason": "老人早睡",
    },
    "resend_missed": {"reason": "通道故障", "channels": [2]},
    "correct_run": {"name": "更正：财务转账提醒", "template_id": _TEMPLATE},
    "unmask_message": {"reason": "本人来电核实"},
    "unmask_inbound": {"reason": "回电核实线索"},
    "unmask_unmatched": {"reason": "向运营商核对报文"},
    "unmask_contact": {"reason": "本人来电核实"},
    "look_up_messages": {"phone": "197 9000 0001", "days": 31},
    "edit_webhook": {"enabled": True},
    "replay": {"since": "2027-01-12T00:00:00+08:00", "which": "given_up"},
    "finish_inbound": {"note": "已回电", "opt_out": False},
    "look_up_person": {"phone": "197 9000 0001", "reason": "本人来信查询"},
    "agree_to_retention": {"jumped_at": "2027-01-12T09:30:00+08:00"},
    "prove_own_mail": {"code": "123456"},
    "check_trail": {"head": f"4711:{'9f3c' * 16}"},
    "erase_person": {"phone": "197 9000 0001", "reason": "本人来信要求删除"},
    "read_results_file": {"reason": "中国移动短信平台 1 月 12 日回传"},
    "read_statement": {"channel_id": 1, "reason": "中国移动 1 月 12 日对账单"},
    "set_policy": {"class": "service", "allowed": False, "reason": "宁缺勿重"},
    "dismiss_unmatched": {"ids": [1742], "reason": "运营商确认为测试"},
    "create_channel": {
        "name": "移动",
        "kind": "cmpp",
        "simulated": False,
        "tps": 500,
        "carriers": ["china_mobile"],
        "config": {
            "host": "203.0.113.10",
            "port": 7890,
            "account": "901234",
            "secret": "…",
            "access_number": "1065720001234",
        },
    },
    "put_code": {
        "kind": "cmpp",
        "applies_to": "receipt",
        "code": "MK:0012",
        "outcome": "undelivered",
        "reason": "powered_off",
    },
    "edit_channel": {"tps": 300, "held_until": None},
    "import_prefixes": {"source": "工信部 2027-01"},
    "look_up_override": {"phone": "197 9000 0001"},
    "import_overrides": {},
    "set_override": {"phone": "197 9000 0001", "carrier": "china_unicom"},
    "delete_override": {"phone": "197 9000 0001"},
}
