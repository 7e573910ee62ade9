"""What there is on the command line, in English and Chinese: nouns, acts, and what each takes.

One module: it is a table to be read from top to bottom.
"""

from collections.abc import Callable
from pathlib import Path
from typing import get_args

from tocsin_client.ctl import acts, drafting, duty, legs
from tocsin_client.ctl.parser import Commands, Parser, Words, act, act_on, pair, reason
from tocsin_client.types import (
    Basis,
    CampaignState,
    Decision,
    DeliveryState,
    LateChoice,
    MessageClass,
    MessageState,
    Priority,
    SuppressionReason,
    Way,
)

CAMPAIGN: Words = ("the campaign's id", "任务编号")
WORK = "work"
"""The noun that is an act by itself: what one asks first."""
RUN: Words = ("the run's id", "批次编号")
MESSAGE: Words = ("the text's id: RUN.NUMBER", "短信编号：批次.序号")
CHANNEL: Words = ("a channel's id", "通道编号")
RULE: Words = ("a rule; - or @FILE reads it", "规则；- 或 @文件 读取")
TEXT: Words = ("a text; - or @FILE reads it", "正文；- 或 @文件 读取")
WEEKLY = """{
  "schedule": {
    "kind": "recurring", "start_at": "2027-01-13T09:30:00+08:00",
    "rrule": "FREQ=WEEKLY;BYDAY=WE", "until": "2027-06-30T18:00:00+08:00",
    "send_hours": [["09:00", "17:30"]], "holidays": "next_workday", "late": "hold"
  },
  "over_cap": "stop"
}"""
"""A file that `campaigns create --plan` takes."""
HEADER: Words = (
    "a column's header: phone=Mobile; repeatable",
    "某列的表头，如 phone=联系电话，可重复",
)
SECONDS = {"type": float, "metavar": "SECONDS"}
INSTANT = {"metavar": "RFC3339"}


def _acknowledged(parser: Parser) -> None:
    words = ("a doubt of lint that you have read", "已阅的疑点规则，如 R21")
    parser.take("--acknowledged", words=words, action="append", default=[], metavar="RULE")


def _class(parser: Parser) -> None:
    words = ("the text's class; default: public_interest", "短信类别，默认 public_interest")
    choices = get_args(MessageClass)
    parser.take(
        "--class", words=words, dest="message_class", choices=choices, default="public_interest"
    )


def _me(of: Commands) -> None:
    act(of, "show", duty.show_me, ("whose the key is, and what it may", "密钥属于谁、有哪些权限"))


def _evidence(add: Parser) -> None:
    """What shows a consent."""
    kept = ("where the consent is kept", "同意凭据存放处或编号")
    add.take("--evidence", words=kept)
    day = ("the day of the consent", "同意日期（多人取最后一天）")
    add.take("--evidence-on", words=day, metavar="YYYY-MM-DD")
    add.take("--evidence-by", words=("who asked for it", "由谁征得"))
    how = ("in which way", "方式：书面、网上、短信、电话、当面")
    add.take("--evidence-how", words=how, choices=get_args(Way))
    add.take("--evidence-form", words=("the wording, with its version", "告知书名称与版本"))


def _imports(of: Commands) -> None:
    add = act(of, "add", acts.add_import, ("give in a file, and wait", "导入并等待结果"))
    add.take("file", words=("CSV or XLSX", "CSV 或 XLSX 文件"), type=Path)
    add.take("--roster", words=("the list's name", "名单名称"), required=True)
    basis = ("what it rests on; default: duty", "依据，默认 duty（履职）")
    add.take("--basis", words=basis, choices=get_args(Basis), default="duty")
    add.take("--expires-on", words=("the list's last day", "名单有效至"), metavar="YYYY-MM-DD")
    _evidence(add)
    add.take("--encoding", words=("of the file; default: found out", "文件编码，默认自动识别"))
    add.take("--column", words=HEADER, action="append", type=pair, metavar="NAME=HEADER")
    mode = ("replace: who is not in it leaves the list", "replace：不在文件中的人退出名单")
    add.take("--mode", words=mode, choices=["add", "replace"], default="add")
    add.take(
        "--dry-run",
        words=("a report, and nobody is stored", "只出报告，不入库"),
        action="store_true",
    )
    add.take("--no-wait", words=("do not wait for its end", "不等待结果"), action="store_true")
    wait = ("how long to wait for its end", "最长等待时间（秒）")
    add.take("--timeout", words=wait, default=600, **SECONDS)
    what = ("the import's id", "导入编号")
    act_on(of, "show", acts.show_import, ("its report", "查看导入报告"), what)
    act_on(of, "rejects", acts.list_rejects, ("its rejected rows", "被拒绝的行"), what)
    act_on(of, "undo", acts.undo_import, ("take it back", "撤销导入"), what)


def _rosters(of: Commands) -> None:
    act(of, "list", acts.list_rosters, ("all of them", "全部名单"))


def _segments(of: Commands) -> None:
    preview = act(of, "preview", acts.preview_rule, ("whom it means", "预览人数"))
    preview.take("rule", words=RULE)
    of_text = ("of the text: its caps count", "短信类别：计入频次上限")
    preview.take("--class", words=of_text, dest="message_class", choices=get_args(MessageClass))
    explain = act(of, "explain", acts.explain_rule, ("a rule in plain words", "用文字解释规则"))
    explain.take("rule", words=RULE, nargs="?")
    explain.take("--rule", words=RULE, dest="named_rule", metavar="RULE")
    create = act(of, "create", acts.create_segment, ("save a rule", "保存规则"))
    create.take("name", words=("its name", "名称"))
    create.take("rule", words=RULE)
    act(of, "list", acts.list_segments, ("all of them", "全部规则"))


def _templates(of: Commands) -> None:
    lint = act(of, "lint", acts.lint_text, ("check a text", "检查文本"))
    lint.take("text", words=TEXT)
    create = act(of, "create", acts.create_template, ("keep a text", "保存模板"))
    create.take("name", words=("its name", "名称"))
    create.take("text", words=TEXT)
    create.take("--topic", words=("what it is about", "主题"), default="")
    create.take("--language", words=("its language; default: zh", "语种，默认 zh"), default="zh")
    for parser in (lint, create):
        _class(parser)
    words = ("let it be sent directly", "批准用于直接发送")
    approve = act_on(of, "approve", acts.approve_template, words, ("the text's id", "模板编号"))
    approve.take("version", words=("which version you have read", "已阅的版本号"), type=int)
    _acknowledged(approve)
    act(of, "list", acts.list_templates, ("all of them", "全部模板"))


def _planned(parser: Parser) -> None:
    """When and over what it is sent, and the rest of a plan."""
    parser.take("--start-at", words=("else at once", "发送时间，默认立即"), **INSTANT)
    parser.take("--channel", words=CHANNEL, type=int, action="append", metavar="ID")
    filled = ("fills a variable of the text; repeatable", "填入正文的变量，如 件数=12，可重复")
    parser.take("--value", words=filled, action="append", type=pair, metavar="NAME=VALUE")
    week = (
        "figures on cases are of this bulletin",
        "案件数字取自哪周通报，如 2027-W03",
    )
    parser.take("--figures-from", words=week, metavar="WEEK")
    more = ("more of the plan, JSON", "计划的其余部分，JSON 文件")
    parser.take("--plan", words=more, metavar="FILE")


def _campaigns(of: Commands) -> None:
    listed = act(of, "list", acts.list_campaigns, ("all, or of one state", "全部或某状态"))
    listed.take("--state", words=("only these", "仅此状态"), choices=get_args(CampaignState))
    create = act(of, "create", drafting.create_campaign, ("plan one", "新建草稿"))
    create.take("name", words=("its name", "名称"))
    first = ("what goes before what; default: normal", "优先级，默认 normal")
    create.take("--priority", words=first, choices=get_args(Priority), default="normal")
    create.example(("A weekly plan, for --plan:", "每周发送的计划文件（--plan）示例："), WEEKLY)
    create.take("--drill", words=("a drill", "演练"), action="store_true")
    changed = ("change a plan that has not begun", "修改未开始的任务")
    edit = act_on(of, "edit", drafting.edit_campaign, changed, CAMPAIGN)
    edit.take("--name", words=("its name", "名称"))
    edit.take("--priority", words=("what goes before what", "优先级"), choices=get_args(Priority))
    _whom_and_what(create, edit)
    for name, does, words in (
        ("show", acts.show_campaign, ("one with its history", "查看任务及经过")),
        ("preview", acts.preview_campaign, ("whom it would reach", "预览将发给谁")),
        ("review", acts.review_campaign, ("all that an approval binds", "签发所含的全部内容")),
        ("submit", acts.submit_campaign, ("put it before an approver", "提交审核")),
        ("report", duty.show_campaign_report, ("week by week, by carrier", "按周、按运营商统计")),
        ("legs", legs.show_plan_legs, ("of a joint plan: who has taken", "联合任务：各方是否接受")),
    ):
        act_on(of, name, does, words, CAMPAIGN)
    _clone(of)
    _approve(of)
    for name, method, words in (
        ("return", "send_back", ("give it back to be mended", "退回修改")),
        ("reject", "reject", ("refuse it for good", "驳回")),
        ("pause", "pause", ("stop handing off", "暂停")),
        ("cancel", "cancel", ("end it", "终止")),
    ):
        parser = act_on(of, name, acts.steer(method), words, CAMPAIGN)
        reason(parser, required=name in {"return", "reject"})
    _going_on(of)


LEG: Words = (
    "a joint plan: a department that is asked, with areas if not all",
    "联合任务：请求发送的单位，可限区划",
)


def _whom_and_what(create: Parser, edit: Parser) -> None:
    for parser in (create, edit):
        needed = parser is create
        template = ("the text's id", "模板编号")
        parser.take("--template", words=template, required=needed, metavar="ID")
        parser.take("--segment", words=("the rule's id", "规则编号"), metavar="ID")
        parser.take("--leg", words=LEG, action="append", metavar="ID[:CODE,CODE]")
        parser.take("--max-tps", words=("at most so many a second", "每秒上限"), type=int)
        _planned(parser)


def _clone(of: Commands) -> None:
    again = ("a draft of the same plan", "复制为新草稿")
    clone = act_on(of, "clone", drafting.clone_campaign, again, CAMPAIGN)
    clone.take("--name", words=("its name; default: the same", "名称，默认相同"))


def _approve(of: Commands) -> None:
    second = ("agree, as the second person", "以第二人身份批准")
    approve = act_on(of, "approve", acts.approve_campaign, second, CAMPAIGN)
    reason(approve, required=False)
    _acknowledged(approve)
    late = ("what becomes of its fire if that is late", "若已错过发送时间：补发、待放行、不发")
    approve.take("--missed", words=late, choices=get_args(LateChoice))
    sure = ("do not ask: it has been read", "不再询问（已审阅）")
    approve.take("--yes", words=sure, action="store_true")


def _going_on(of: Commands) -> None:
    words = ("let it, or a held fire, go now", "放行")
    release = act_on(of, "release", acts.steer("release", "missed", "planned_at"), words, CAMPAIGN)
    left = ("send what is held, or leave it out", "发送待放行的，或不发")
    release.take("--missed", words=left, choices=["run", "skip"])
    release.take("--planned-at", words=("which fire", "哪一次（计划时间）"), **INSTANT)
    resume = act_on(of, "resume", acts.steer("resume", "missed"), ("go on", "继续"), CAMPAIGN)
    late = ("what becomes of missed fires", "错过的发送如何处理：补发、待放行、不发")
    resume.take("--missed", words=late, choices=get_args(LateChoice))
    for parser in (release, resume):
        reason(parser, required=False)


def _runs(of: Commands) -> None:
    act_on(of, "list", acts.list_runs, ("those of a campaign", "某任务的批次"), CAMPAIGN)
    act_on(of, "show", duty.show_run, ("one of them", "查看批次"), RUN)
    words = ("what it amounts to", "发送报告")
    report = act_on(of, "report", acts.show_report, words, RUN)
    report.take("--follow", words=("until it is sent", "跟踪至发完"), action="store_true")
    report.take("--every", words=("how often to look", "查看间隔（秒）"), default=2.0, **SECONDS)
    messages = act_on(of, "messages", acts.list_messages, ("its ledger", "逐条明细"), RUN)
    messages.take("--state", words=("only these", "仅此状态"), choices=get_args(MessageState))
    act_on(
        of, "missed", duty.show_missed, ("whom it did not reach, and why", "未送达的人及原因"), RUN
    )
    again = ("send it again to whom it missed", "向未送达的人补发")
    resend = act_on(of, "resend-missed", duty.resend_missed, again, RUN)
    resend.take("--channel", words=CHANNEL, type=int, action="append", metavar="ID")
    reason(resend, required=True)
    put_right = ("draft another text to whom it reached", "起草更正，发给已收到的人")
    correct = act_on(of, "correction", drafting.correct_run, put_right, RUN)
    correct.take("name", words=("its name", "名称"))
    correct.take("--template", words=("the text's id", "模板编号"), required=True, metavar="ID")
    _planned(correct)
    act_on(of, "cancel", duty.cancel_send, ("call a direct send back", "撤回一次直接发送"), RUN)
    proof = ("keep its signed evidence", "保存签名的证据包")
    evidence = act_on(of, "evidence", duty.save_evidence, proof, RUN)
    evidence.take("file", words=("the ZIP to write", "要写入的 ZIP 文件"), type=Path)


def _messages(of: Commands) -> None:
    words = ("the latest to a number from stdin", "从标准输入读号码，查最近的短信")
    lookup = act(of, "lookup", duty.look_up_number, words)
    lookup.take("--days", words=("how far back", "往前查多少天"), type=int, default=31)
    named = ("send to numbers from stdin, one a line", "从标准输入逐行读号码，直接发送")
    send = act(of, "send", acts.send_messages, named)
    send.take("--template", words=("an approved text's id", "已批准的模板编号"), metavar="ID")
    own = ("your own words; takes a right", "自拟正文，需有权限")
    send.take("--text", words=own)
    act_on(
        of, "show", duty.show_message, ("what became of one, and why", "是否送达、原因"), MESSAGE
    )
    act_on(of, "cancel", duty.cancel_message, ("call one back", "撤回一条"), MESSAGE)
    full = ("see the number in full; it is noted", "查看完整号码，会留痕")
    reason(act_on(of, "unmask", duty.unmask_message, full, MESSAGE), required=True)


def _uncertain(of: Commands) -> None:
    listed = act(of, "list", acts.list_doubts, ("all, or of a run", "全部或某批次"))
    decide = act(of, "decide", acts.decide_doubts, ("say what became of them", "认定结果"))
    became = ("what became of them", "认定的结果")
    decide.take("decision", words=became, choices=get_args(Decision))
    decide.take("--id", words=MESSAGE, action="append", default=[])
    reason(decide, required=True)
    says = ("by a carrier's own statement", "按运营商提供的发送清单认定")
    statement = act(of, "statement", acts.read_statement, says)
    statement.take("file", words=("CSV or XLSX", "CSV 或 XLSX 文件"), type=Path)
    statement.take("--channel", words=CHANNEL, type=int, required=True, metavar="ID")
    statement.take(
        "--encoding", words=("of the file; default: found out", "文件编码，默认自动识别")
    )
    reason(statement, required=True)
    for parser in (listed, decide):
        parser.take("--run", words=RUN, dest="run_id")
        parser.take("--channel", words=CHANNEL, type=int)


def _list_files(of: Commands) -> None:
    says = ("take the list as the carrier gives it back", "导入运营商交回的结果")
    results = act_on(of, "results", acts.read_results, says, ("the list's id", "名单文件编号"))
    results.take("file", words=("CSV or XLSX", "CSV 或 XLSX 文件"), type=Path)
    results.take("--encoding", words=("of the file; default: found out", "文件编码，默认自动识别"))
    reason(results, required=False)


def _suppressions(of: Commands) -> None:
    listed = act(of, "list", acts.list_suppressions, ("all, or of a number", "全部或某号码"))
    number = ("a number from stdin", "从标准输入读号码")
    listed.take("--phone", words=number, action="store_true")
    numbers = ("numbers from stdin, one a line", "从标准输入逐行读号码")
    add = act(of, "add", acts.add_suppressions, numbers)
    given = ("the numbers of a file", "从文件导入号码")
    load = act(of, "import", acts.import_suppressions, given)
    load.take("file", words=("CSV or XLSX", "CSV 或 XLSX 文件"), type=Path)
    for parser in (add, load):
        why = ("default: opted_out", "原因，默认 opted_out（退订）")
        parser.take("--reason", words=why, choices=get_args(SuppressionReason), default="opted_out")
        alone = ("stop its work notices alone", "仅停发该单位的工作通知")
        parser.take("--department", words=alone, dest="department_id", metavar="ID")
        parser.take("--note", words=("where it comes from", "备注"), default="")
    classes = ("what it stops; default: by the reason", "停发哪些类别，默认按原因")
    add.take("--classes", words=classes, nargs="+", choices=get_args(MessageClass))
    add.take(
        "--expires-at", words=("until when; default: for good", "截止时间，默认永久"), **INSTANT
    )
    lifted = ("let it be sent to again", "解除停发")
    act_on(of, "lift", acts.lift_suppression, lifted, ("its id", "停发记录编号"))


def _channels(of: Commands) -> None:
    act(of, "list", duty.list_channels, ("all of them", "全部通道"))
    for name, does, words in (
        ("health", duty.show_health, ("how it is doing", "通道状态")),
        ("queue", duty.show_queue, ("what waits on it", "排队情况")),
    ):
        act(of, name, does, words).take("id", words=CHANNEL, type=int, metavar="ID")


def _webhooks(of: Commands) -> None:
    act(of, "list", duty.list_webhooks, ("all of them", "全部回调地址"))
    told = ("what was told, and how it went", "通知记录及结果")
    deliveries = act_on(of, "deliveries", duty.list_deliveries, told, ("its id", "回调编号"))
    deliveries.take("--state", words=("only these", "仅此状态"), choices=get_args(DeliveryState))


def _keys(of: Commands) -> None:
    what = ("the key's id", "密钥编号")
    act(of, "list", duty.list_keys, ("all of them, without tokens", "全部密钥（不含密文）"))
    agreed = ("agree, as the second person", "以第二人身份启用")
    act_on(of, "activate", duty.activate_key, agreed, what)
    act_on(of, "revoke", duty.revoke_key, ("end it at once", "立即吊销"), what)


def _audit(of: Commands) -> None:
    listed = act(
        of, "list", duty.list_audit, ("what was done, from new to old", "操作记录，由近及远")
    )
    listed.take("--action", words=("e.g. approve_campaign", "如 approve_campaign"))
    listed.take("--object", words=("the id of a thing", "对象编号"), dest="object_id", metavar="ID")
    listed.take("--since", words=("from then on", "起始时间"), **INSTANT)
    listed.take("--until", words=("before then", "截止时间"), **INSTANT)
    words = (
        "verify the whole trail; exit code 1: it is not whole",
        "核对全部审计记录；不完整时退出码为 1",
    )
    check = act(of, "check", duty.check_trail, words)
    check.take("--head", words=("a seal that was written down", "抄下的封印"), metavar="NO:SEAL")
    pause = ("seconds between two looks", "两次查看之间的秒数")
    check.take("--every", words=pause, type=float, default=1.0, metavar="SECONDS")


def _stop_all(of: Commands) -> None:
    act(of, "status", duty.show_stop, ("whether all is stopped", "是否已停发"))
    reason(act(of, "stop", duty.stop_all, ("stop everything", "全部停发")), required=True)
    lift = act(of, "lift", duty.lift_stop, ("let sending go on", "恢复发送"))
    reason(lift, required=True)
    queued = (
        "texts queued in a restored database, which may have left; default: uncertain",
        "数据库恢复后，排队中、可能已发出的短信如何处理；默认 uncertain（列为去向不明，不重发）",
    )
    lift.take("--direct-runs", words=queued, choices=["uncertain", "resume", "cancel"])


def _work(of: Commands) -> None:
    shown = (
        "each stop, shut channel, silent campaign, held or missed fire, with since when and why",
        "逐项列出：全部停发、通道不通、任务不再发送、待放行、错过的发送，何时起、为何",
    )
    act(of, "list", duty.list_work, shown)


def _legs(of: Commands) -> None:
    asked = ("what joint plans ask of your department", "联合任务向本单位提出的请求")
    listed = act(of, "list", legs.list_legs, asked)
    listed.take("--state", words=("only these: asked, taken …", "仅此状态：asked、taken …"))
    counted = ("whom a joint plan would reach, by department", "联合任务将发给谁，按单位")
    preview = act(of, "preview", legs.preview_legs, counted)
    preview.take("--leg", words=LEG, action="append", required=True, metavar="ID[:CODE,CODE]")
    of_text = ("of the text: its caps count", "短信类别：计入频次上限")
    preview.take("--class", words=of_text, dest="message_class", choices=get_args(MessageClass))
    shown = ("one of them, with its texts and times", "查看请求、短信内容和时间")
    act_on(of, "show", legs.show_leg, shown, ("the leg's id", "编号，见 legs list"))


def _cases(of: Commands) -> None:
    says = ("take the figures of weeks from a file", "导入发案数据文件")
    load = act(of, "import", acts.import_cases, says)
    load.take("file", words=("CSV or XLSX", "CSV 或 XLSX 文件"), type=Path)
    covers = ("what it covers, as 2027-W03 or 2027-W01..2027-W13", "涵盖的周，如 2027-W03")
    load.take("--weeks", words=covers, required=True)
    load.take("--encoding", words=("of the file; default: found out", "文件编码，默认自动识别"))
    dry = ("read and report, store nothing", "只试读，不保存")
    load.take("--dry-run", words=dry, action="store_true")
    partial = ("store the rest where rows are wrong", "有错行时保存其余各行")
    load.take("--accept-partial", words=partial, action="store_true")


def _rounds(of: Commands) -> None:
    says = ("write down the households of a file", "导入入户登记表文件")
    load = act(of, "import", acts.import_households, says)
    load.take("round_id", words=("the round's id", "入户轮次编号"))
    load.take("file", words=("CSV or XLSX", "CSV 或 XLSX 文件"), type=Path)
    load.take("--encoding", words=("of the file; default: found out", "文件编码，默认自动识别"))
    dry = ("read and report, write nothing down", "只试读，不登记")
    load.take("--dry-run", words=dry, action="store_true")
    partial = ("write the rest where rows are wrong", "有错行时登记其余各行")
    load.take("--accept-partial", words=partial, action="store_true")


def _groups(of: Commands) -> None:
    says = ("register the groups of a file", "导入群登记表文件")
    load = act(of, "import", acts.import_groups, says)
    load.take("file", words=("CSV or XLSX", "CSV 或 XLSX 文件"), type=Path)
    load.take("--encoding", words=("of the file; default: found out", "文件编码，默认自动识别"))
    dry = ("read and report, register nothing", "只试读，不登记")
    load.take("--dry-run", words=dry, action="store_true")
    partial = ("register the rest where rows are wrong", "有错行时登记其余各行")
    load.take("--accept-partial", words=partial, action="store_true")


def _pictures(of: Commands) -> None:
    send = act(of, "send", acts.send_picture, ("send a picture for a report", "上传报送图片"))
    send.take("file", words=("JPEG, PNG or WebP", "JPEG、PNG 或 WebP 图片"), type=Path)
    send.take("--duty", words=("the duty it is for: its id", "用于哪一期报送：编号"))


def _alone(_: Commands) -> None:
    """All that can be done with it is in the table of requests."""


NOUNS: tuple[tuple[str, Words, Callable[[Commands], None]], ...] = (
    (
        WORK,
        ("what is stopped, held or missed; no approvals", "停发、待放行、错过的（不含待签批）"),
        _work,
    ),
    ("stop-all", ("the switch that stops everything", "全部停发"), _stop_all),
    ("campaigns", ("broadcasts", "群发任务"), _campaigns),
    ("legs", ("legs of joint plans", "联合任务中本单位的部分"), _legs),
    (
        "list-files",
        ("lists for a carrier that sends by itself", "交运营商自行发送的名单"),
        _list_files,
    ),
    ("runs", ("fires of a campaign, and direct sends", "发送批次与报告"), _runs),
    ("messages", ("one text: did it arrive?", "单条短信：是否送达"), _messages),
    ("uncertain", ("texts that may have left", "去向不明的短信"), _uncertain),
    ("channels", ("the ways out", "通道"), _channels),
    ("coverage", ("of all people there should be, how many were reached", "覆盖率"), _alone),
    ("obligations", ("what departments owe again and again", "报送任务"), _alone),
    ("duties", ("what is owed, handed in, late", "各期报送与催报"), _alone),
    ("weekly", ("weekly reports of units", "单位周报"), _alone),
    ("robots", ("robots of work groups", "工作群机器人"), _alone),
    ("pictures", ("pictures of reports: sent, masked", "报送图片：上传、打码"), _pictures),
    ("followups", ("whom a run missed: again, then to the door", "补漏与走访"), _alone),
    ("rounds", ("household rounds: registered, counted, signed off", "入户轮次"), _rounds),
    ("relays", ("texts passed down, and who has passed one on", "逐级推送"), _alone),
    ("groups", ("chat groups and their owners", "群与群主登记"), _groups),
    ("cases", ("case figures, goals and bulletins", "发案数据、目标与通报"), _cases),
    ("suggestions", ("what the figures suggest to write of", "宣传建议"), _alone),
    ("bulletins", ("the figures of a week as issued", "警情通报"), _alone),
    ("suppressions", ("whoever must not be sent to", "不再发送的号码"), _suppressions),
    ("imports", ("contact files", "导入名单文件"), _imports),
    ("rosters", ("imported lists", "名单"), _rosters),
    ("segments", ("audience rules", "人群规则"), _segments),
    ("templates", ("texts", "短信模板"), _templates),
    ("offers", ("texts for others", "共享文本"), _alone),
    ("lint", ("what a text may not say", "审查规则"), _alone),
    ("inbound", ("what people write back", "群众回复"), _alone),
    ("contacts", ("people", "人员"), _alone),
    ("calendar", ("what is sent when, of all plans", "发送日历"), _alone),
    ("schedules", ("try a schedule", "试算发送计划"), _alone),
    ("festivals", ("festivals and presets", "节日与预设方案"), _alone),
    ("holidays", ("days off and quiet days", "节假日与静默日"), _alone),
    ("send-hours", ("the county's hours", "发送时段"), _alone),
    ("places", ("where words are put up, and what stands there", "张贴播放场所"), _alone),
    ("caps", ("how many texts a person may get", "接收上限"), _alone),
    ("areas", ("towns, villages, groups", "区划"), _alone),
    ("receipts", ("receipts that match no text", "未匹配的回执"), _alone),
    ("routes", ("which way a number takes", "号码路由"), _alone),
    ("prefixes", ("number blocks", "号段表"), _alone),
    ("departments", ("departments", "单位"), _alone),
    ("users", ("who there is", "用户"), _alone),
    ("deputies", ("who stands in for whom", "代理安排"), _alone),
    ("guests", ("whom trial keys may reach", "试用号码"), _alone),
    ("webhooks", ("addresses that are called", "回调地址"), _webhooks),
    ("keys", ("who may ask; for administrators", "密钥（管理员）"), _keys),
    (
        "retention",
        ("deletion for its age; for administrators", "到期删除（管理员）"),
        _alone,
    ),
    ("audit", ("what was done; for administrators", "操作审计（管理员）"), _audit),
    ("me", ("who I am", "我的身份"), _me),
)
"""What there is, in the order in which it is needed on a bad day."""
