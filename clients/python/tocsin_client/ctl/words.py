"""What members of answers and the words in counts are called in Chinese."""

from tocsin_client.ctl.reason_words import REASON_WORDS

LABELS = {
    "id": "编号", "name": "名称", "state": "状态", "class": "类别", "priority": "优先级",
    "template_id": "模板", "segment_id": "规则编号", "baseline": "提交时人数",
    "next_fire_at": "下次发送", "submitted_by": "提交人", "approved_by": "审批人",
    "run_id": "批次", "campaign_id": "任务", "target": "目标", "reached": "到达", "parts": "条数",
    "states": "各状态", "by_reason": "原因", "excluded": "排除", "not_known": "尚不可知",
    "started_at": "开始",
    "finished_at": "结束", "failed": "失败", "unknown": "未知", "stopped": "停发", "open": "未完",
    "by_area": "按乡镇", "by_carrier": "按运营商", "by_role": "按身份", "sample": "样例",
    "text": "正文", "lint": "审查", "estimate": "预计", "version": "版本", "encoding": "编码",
    "variables": "变量", "topic": "主题", "phone": "号码", "reason": "原因", "code": "返回码",
    "carrier": "运营商", "submitted_at": "提交时间", "final_at": "终态时间", "kind": "种类",
    "mode": "模式", "fire_at": "发送时间", "contacts": "人数", "basis": "依据",
    "expires_on": "有效至", "expired": "已过期", "rule": "规则", "canonical": "规则（规范）",
    "level": "级别", "message": "说明", "at": "时间",
    "position": "位置", "reject": "原因", "plain": "说明", "note": "备注",
    "outcome": "结果", "planned_at": "计划时间", "released_at": "放行时间",
    "received_at": "收到时间", "moves": "经过", "from_state": "自", "to_state": "至",
    "answer": "答复", "sheet": "工作表", "row": "行", "value": "值", "suggestion": "建议",
    "channel": "通道", "channels": "通道", "schedule": "计划", "cloned_from": "复制自",
    "corrects": "更正批次", "people": "人数", "why": "原因", "again": "可补发",
    "not_again": "不可补发", "sends_from": "开始发送", "finishes_at": "预计发完",
    "overlaps": "同日任务", "login": "登录名", "department_id": "单位编号", "roles": "身份",
    "may": "权限", "taken_by": "认领人", "taken_at": "认领时间", "done_by": "办结人",
    "done_at": "办结时间", "due_on": "到期日", "late": "已逾期", "week": "周", "relation": "关系",
    "created_at": "创建时间", "edited_at": "修改时间", "area_code": "区划代码",
    "area_name": "区划", "tags": "标签", "gender": "性别", "age_band": "年龄段", "listed": "在册",
    "since": "自", "signature": "签名", "enabled": "启用", "carriers": "运营商", "tps": "每秒条数",
    "held_until": "暂停至", "held_why": "暂停原因", "date": "日期", "quiet": "静默",
    "official": "已公布", "official_until": "公布截止", "warning": "提示", "fires": "发送",
    "festival": "节日", "period": "期间", "notes": "提示", "event_id": "事件", "type": "类型",
    "attempt": "次数", "next_at": "下次", "url": "地址", "events": "事件", "classes": "类别",
    "department": "单位", "expires_at": "截止", "purpose": "用途", "missing": "缺失",
    "replies": "回复", "parent": "上级", "population": "人口",
    "owner": "所有者", "starts_at": "起始", "ends_at": "截止", "fires_at": "发送时间",
    "valid_until": "有效至", "in_time": "来得及", "days": "天数", "lanes": "通道明细",
    "messages": "短信数", "rate": "速率", "waits": "顺延",
    "send_days": "适用日", "if_late": "错过时",
    "holidays": "遇节假日", "quiet_days": "静默日", "over_cap": "达接收上限者",
    "send_hours": "时段", "timezone": "时区", "validity_minutes": "有效分钟",
    "start_at": "开始时间", "rrule": "重复规则", "dates": "日期", "until": "截止",
    "beyond_hours": "超出县定时段", "own_hours": "自定时段", "hold_following": "连同后续等待",
    "user_id": "用户", "skipped": "不发", "channel_id": "通道编号", "rights": "单独权限",
    "proposed": "待确认的权限", "proposed_by": "提出人", "proposed_at": "提出时间",
    "confirmed_by": "确认人", "confirmed_at": "确认时间", "enables": "恢复使用",
    "creates": "新建通道", "waits_since": "待第二人确认自", "proposal_id": "待确认编号",
    "numbers": "号码数", "entered_by": "录入人", "entered_at": "录入时间", "waiting": "待认定",
    "held_by": "视同本人的用户", "needs_second": "须第二人确认",
}  # fmt: skip
"""Members, by the name that the API gives them."""

WORDS = {
    "china_mobile": "中国移动", "china_unicom": "中国联通", "china_telecom": "中国电信",
    "china_broadnet": "中国广电", "none": "无", "queued": "排队", "submitting": "提交中",
    "submitted": "已提交", "delivered": "已送达", "undelivered": "未送达", "expired": "过期",
    "suppressed": "停发", "cancelled": "已取消", "uncertain": "去向不明", "resident": "群众",
    "finance": "财务人员", "owner": "企业负责人", "shop": "个体工商户", "teacher": "教师",
    "student": "学生", "parent": "家长", "bank_staff": "银行从业人员", "grid_worker": "网格员",
    "village_staff": "村居干部", "group_owner": "群主", "civil_servant": "干部职工",
    "elderly": "老年人", "care_family": "养老院家属", "site_worker": "建筑工人", "driver": "司机",
    "returnee": "返乡人员", "liaison": "联络员", "counsellor": "辅导员", "class_monitor": "班长",
    "draft": "草稿", "pending_approval": "待审批", "returned": "已退回", "scheduled": "已排期",
    "running": "发送中", "paused": "已暂停", "held": "待放行", "done": "已完成", "sent": "已发完",
    "unknown": "不明", "public_interest": "公益", "service": "服务", "warning": "预警",
    "urgent": "紧急", "normal": "普通", "bulk": "大批量", "live": "正式", "trial": "试用",
    "test": "测试", "drill": "演练", "duty": "履职", "contract_hr": "合同人事", "consent": "同意",
    "emergency": "应急", "fired": "已发送", "skipped": "不发", "missed": "已错过",
    "block": "拦截", "doubt": "疑点", "warn": "提醒", "campaign": "任务", "direct": "直接发送",
    "correction": "更正", "clue": "线索", "opt_out": "退订", "new": "新", "taken": "已认领",
    "now": "批准后立即", "once": "一次", "recurring": "周期", "joining": "向新增人员",
    "run": "照发", "hold": "等待放行", "skip": "不发", "send": "照发", "keep": "不发送",
    "next_workday": "顺延至下一工作日", "previous_workday": "提前至上一工作日", "all": "每天",
    "workdays": "工作日", "defer": "顺延", "stop": "不发", "town": "乡镇", "village": "村",
    "community": "社区", "group": "组",
    **REASON_WORDS,
}  # fmt: skip
"""Names inside a count, such as carriers, states, roles and reasons, and values of `CODED`."""

CODED = frozenset({
    "state", "class", "classes", "priority", "kind", "mode", "basis", "outcome", "carrier",
    "carriers", "prefix_carrier", "roles", "reason", "level", "late", "days", "holidays",
    "quiet_days", "over_cap", "from_state", "to_state",
})  # fmt: skip
"""Members whose values are names, not words of a person."""

BY_TYPE = {("at", int): "position", ("days", str): "send_days", ("late", str): "if_late"}
"""Members that mean another thing by the type of their value, by the label of that."""
