"""What codes are called inside a sentence: states, kinds, levels, roles and modes."""

from service.words.phrase import Sentence

_CHINESE = {
    # campaigns and runs
    "draft": "草稿", "pending_approval": "待签发", "returned": "已退回修改", "rejected": "不予签发",
    "scheduled": "已排期", "held": "待放行", "running": "发送中", "paused": "已暂停",
    "done": "已完成", "cancelled": "已终止",
    # acts on a campaign
    "edit": "修改", "submit": "提交", "approve": "签发", "return": "退回修改", "reject": "不予签发",
    "expire": "作废", "fire": "发送", "drift": "退回签发", "hold": "转为待放行", "skip": "跳过",
    "wait": "等候下一次", "release": "放行", "pause": "暂停", "resume": "继续", "finish": "结束",
    "reopen": "重新打开", "cancel": "终止",
    # texts
    "queued": "排队中", "submitting": "正在交运营商", "submitted": "运营商已收",
    "delivered": "已送达", "undelivered": "未送达", "unknown": "72小时无回执",
    "suppressed": "发前拦下", "uncertain": "去向不明", "failed": "失败",
    # keys, grants, proposals
    "pending": "待确认", "active": "在用", "revoked": "已作废", "expired": "已过期",
    "confirmed": "已确认", "replaced": "已被取代",
    # lists for a carrier, texts of handsets
    "drawing": "正在生成", "closing": "正在收尾", "ready": "已就绪", "empty": "空的",
    "new": "新来的", "taken": "已有人接手",
    # modes of keys
    "live": "正式", "trial": "试用", "test": "测试",
    # kinds of departments, and roles
    "county": "县级", "police": "公安", "carrier": "运营商", "education": "教育",
    "finance": "金融", "civil_affairs": "民政", "market_regulation": "市场监管",
    "culture": "文旅", "town": "乡镇", "school": "学校", "college": "学院",
    "community": "社区", "village": "村", "group": "组",
    "admin": "管理员", "operator": "操作员", "approver": "签发人", "viewer": "查看人",
    "inspector": "督查员", "auditor": "审计员", "liaison": "联络员",
    # audiences with hours of their own
    "elderly": "老年人", "parents": "家长",
    # carriers and classes
    "china_mobile": "中国移动", "china_unicom": "中国联通", "china_telecom": "中国电信",
    "china_broadnet": "中国广电",
    "warning": "预警", "service": "服务", "public_interest": "公益",
    # things
    "key": "密钥", "address": "地址", "signature": "签名", "extension": "扩展号",
    "area": "区划", "department": "单位",
    "message": "短信", "contact": "人员", "inbound": "来信",
    "phone": "手机号码", "time": "时间", "status": "状态", "body": "请求正文",
    "query": "查询参数", "form": "表单", "file": "文件",
}  # fmt: skip


def term(code: str, english: str | None = None) -> Sentence:
    """A code in both languages; `english`: how it stands in an English sentence, if not as it is.

    One that is not known here, of another version for instance, stands for itself.
    """
    return Sentence(_CHINESE.get(code, code), english or code)
