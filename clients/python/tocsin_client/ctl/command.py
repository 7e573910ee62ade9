"""The words of `tocsin ctl`, in English and Chinese, and what its exit code means.

0 done · 1 refused, or found bad · 2 wrong usage · 3 the key is not valid, or may not · 4 no such
thing · 5 the service cannot be reached, or cannot answer now: try again · 130 broken off
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias, get_args

from tocsin_client import (
    Forbidden,
    NotFound,
    Patience,
    Tocsin,
    TocsinError,
    TooManyRequests,
    Unauthorized,
)
from tocsin_client.ctl import acts
from tocsin_client.ctl.acts import Act
from tocsin_client.ctl.screen import Screen, say
from tocsin_client.errors import Unavailable
from tocsin_client.types import (
    Basis,
    CampaignState,
    Decision,
    MessageClass,
    MessageState,
    Priority,
    SuppressionReason,
)

CODES: dict[type[TocsinError], int] = {
    Unauthorized: 3,
    Forbidden: 3,
    NotFound: 4,
    Unavailable: 5,
    TooManyRequests: 5,
}
REFUSED, USAGE, BROKEN_OFF = 1, 2, 130

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001  # its only name


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="tocsin-ctl", description=about())
    add_arguments(parser)
    options = parser.parse_args(arguments)
    code: int = options.run(options)
    return code


def about() -> str:
    """What the command is for."""
    return say(
        "Tocsin over its API, as the key's user: TOCSIN_API_URL, and TOCSIN_API_KEY or a file.",
        "通过接口操作警钟，身份为密钥所属用户：TOCSIN_API_URL，以及 TOCSIN_API_KEY 或密钥文件。",
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Everything after `ctl`."""
    parser.description = about()
    parser.epilog = say(
        "Exit codes: 0 done, 1 refused or found bad, 2 wrong usage, 3 not allowed, 4 no such"
        " thing, 5 try again later.",
        "退出码：0 完成，1 被拒绝或结果不合格，2 用法错误，3 无权限，4 不存在，5 请稍后重试。",
    )
    parser.add_argument(
        "--url", default=os.environ.get("TOCSIN_API_URL"), help=say("the address", "服务地址")
    )
    parser.add_argument(
        "--key-file",
        type=Path,
        default=os.environ.get("TOCSIN_API_KEY_FILE"),
        help=say("a file with the key; else TOCSIN_API_KEY", "密钥文件；否则用 TOCSIN_API_KEY"),
    )
    parser.add_argument(
        "--json", action="store_true", help=say("JSON, a value a line", "输出 JSON，每行一个")
    )
    parser.add_argument(
        "--patience",
        type=float,
        default=Patience().total,
        metavar="SECONDS",
        help=say("how long to go on trying", "最长重试时间（秒）"),
    )
    nouns = parser.add_subparsers(required=True, metavar="NOUN")
    for name, words, add in _nouns():
        noun = nouns.add_parser(name, help=say(*words))
        add(noun.add_subparsers(required=True, metavar="ACT"))


def _nouns() -> list[tuple[str, tuple[str, str], Callable[[Commands], None]]]:
    """What there is, and what adds its acts."""
    return [
        ("imports", ("contact files", "导入名单文件"), _imports),
        ("rosters", ("imported lists", "名单"), _rosters),
        ("segments", ("audience rules", "人群规则"), _segments),
        ("templates", ("texts", "短信模板"), _templates),
        ("campaigns", ("broadcasts", "群发任务"), _campaigns),
        ("runs", ("fires of a campaign", "发送批次与报告"), _runs),
        ("uncertain", ("texts that may have left", "去向不明的短信"), _uncertain),
        ("suppressions", ("whoever must not be sent to", "不再发送的号码"), _suppressions),
        ("channels", ("the ways out", "通道"), _channels),
        ("stop-all", ("the switch that stops everything", "全部停发"), _stop_all),
    ]


def _act(of: Commands, name: str, act: Act, words: tuple[str, str]) -> argparse.ArgumentParser:
    parser = of.add_parser(name, help=say(*words))
    parser.set_defaults(run=lambda options: _run(act, options))
    return parser


def _id(of: Commands, name: str, act: Act, words: tuple[str, str]) -> argparse.ArgumentParser:
    parser = _act(of, name, act, words)
    parser.add_argument("id")
    return parser


def _reason(parser: argparse.ArgumentParser, *, required: bool) -> None:
    parser.add_argument("--reason", required=required, default="", help=say("why", "理由"))


def _acknowledged(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--acknowledged",
        action="append",
        default=[],
        metavar="RULE",
        help=say("a doubt of lint that you have read", "已阅的疑点规则，如 R21"),
    )


def _class(parser: argparse.ArgumentParser) -> None:
    choices = get_args(MessageClass)
    parser.add_argument("--class", dest="message_class", choices=choices, default="public_interest")


def _imports(of: Commands) -> None:
    add = _act(of, "add", acts.add_import, ("give in a file, and wait", "导入并等待结果"))
    add.add_argument("file", type=Path)
    add.add_argument("--roster", required=True, help=say("the list's name", "名单名称"))
    add.add_argument("--basis", choices=get_args(Basis), default="duty")
    add.add_argument("--expires-on", metavar="YYYY-MM-DD")
    add.add_argument("--encoding")
    add.add_argument("--mode", choices=["add", "replace"], default="add")
    add.add_argument("--dry-run", action="store_true")
    add.add_argument("--no-wait", action="store_true")
    add.add_argument("--timeout", type=float, default=600, metavar="SECONDS")
    _id(of, "show", acts.show_import, ("its report", "查看导入报告"))
    _id(of, "rejects", acts.list_rejects, ("its rejected rows", "被拒绝的行"))
    _id(of, "undo", acts.undo_import, ("take it back", "撤销导入"))


def _rosters(of: Commands) -> None:
    _act(of, "list", acts.list_rosters, ("all", "全部"))


def _segments(of: Commands) -> None:
    words = say("a rule; - or @FILE reads it", "规则；- 或 @文件 读取")
    preview = _act(of, "preview", acts.preview_rule, ("whom it means", "预览人数"))
    preview.add_argument("rule", help=words)
    create = _act(of, "create", acts.create_segment, ("save a rule", "保存规则"))
    create.add_argument("name")
    create.add_argument("rule", help=words)
    _act(of, "list", acts.list_segments, ("all", "全部"))


def _templates(of: Commands) -> None:
    words = say("a text; - or @FILE reads it", "正文；- 或 @文件 读取")
    lint = _act(of, "lint", acts.lint_text, ("check a text", "检查文本"))
    lint.add_argument("text", help=words)
    create = _act(of, "create", acts.create_template, ("keep a text", "保存模板"))
    create.add_argument("name")
    create.add_argument("text", help=words)
    for parser in (lint, create):
        _class(parser)
    approve = _id(of, "approve", acts.approve_template, ("for direct sends", "批准用于直接发送"))
    approve.add_argument("version", type=int)
    _acknowledged(approve)
    _act(of, "list", acts.list_templates, ("all", "全部"))


def _campaigns(of: Commands) -> None:
    listed = _act(of, "list", acts.list_campaigns, ("all, or of one state", "全部或某状态"))
    listed.add_argument("--state", choices=get_args(CampaignState))
    create = _act(of, "create", acts.create_campaign, ("plan one", "新建草稿"))
    create.add_argument("name")
    create.add_argument("--template", required=True, metavar="ID")
    create.add_argument("--segment", required=True, metavar="ID")
    create.add_argument("--start-at", metavar="RFC3339", help=say("else at once", "默认立即"))
    create.add_argument("--channel", type=int, action="append", metavar="ID")
    create.add_argument("--priority", choices=get_args(Priority), default="normal")
    create.add_argument("--max-tps", type=int)
    create.add_argument("--drill", action="store_true", help=say("a drill", "演练"))
    create.add_argument("--plan", metavar="FILE", help=say("more of the plan, JSON", "计划 JSON"))
    _id(of, "show", acts.show_campaign, ("one", "查看"))
    _id(of, "preview", acts.preview_campaign, ("whom it would reach", "预览"))
    _id(of, "submit", acts.submit_campaign, ("put it before an approver", "提交审批"))
    approve = _id(of, "approve", acts.approve_campaign, ("as the second person", "批准"))
    _reason(approve, required=False)
    _acknowledged(approve)
    for name, method, words in (
        ("return", "send_back", ("to be mended", "退回修改")),
        ("reject", "reject", ("for good", "驳回")),
        ("release", "release", ("let it fire now", "放行")),
        ("pause", "pause", ("stop handing off", "暂停")),
        ("resume", "resume", ("go on", "继续")),
        ("cancel", "cancel", ("end it", "取消")),
    ):
        parser = _id(of, name, acts.steer(method), words)
        _reason(parser, required=name in {"return", "reject"})


def _runs(of: Commands) -> None:
    listed = _act(of, "list", acts.list_runs, ("of a campaign", "某任务的批次"))
    listed.add_argument("campaign", metavar="CAMPAIGN")
    report = _act(of, "report", acts.show_report, ("what it amounts to", "报告"))
    report.add_argument("--follow", action="store_true", help=say("until sent", "跟踪至发完"))
    report.add_argument("--every", type=float, default=2.0, metavar="SECONDS")
    messages = _act(of, "messages", acts.list_messages, ("its ledger", "逐条明细"))
    messages.add_argument("--state", choices=get_args(MessageState))
    for parser in (report, messages):
        parser.add_argument("run_id", metavar="RUN")


def _uncertain(of: Commands) -> None:
    listed = _act(of, "list", acts.list_doubts, ("all, or of a run", "全部或某批次"))
    decide = _act(of, "decide", acts.decide_doubts, ("say what became of them", "认定结果"))
    decide.add_argument("decision", choices=get_args(Decision))
    decide.add_argument("--id", action="append", default=[])
    _reason(decide, required=True)
    for parser in (listed, decide):
        parser.add_argument("--run", dest="run_id")
        parser.add_argument("--channel", type=int)


def _suppressions(of: Commands) -> None:
    listed = _act(of, "list", acts.list_suppressions, ("all, or of a number", "全部或某号码"))
    listed.add_argument(
        "--phone", action="store_true", help=say("a number from stdin", "从标准输入读号码")
    )
    add = _act(
        of,
        "add",
        acts.add_suppressions,
        ("numbers from stdin, one a line", "从标准输入逐行读号码"),
    )
    add.add_argument("--reason", choices=get_args(SuppressionReason), default="opted_out")
    add.add_argument("--classes", nargs="+", choices=get_args(MessageClass))
    add.add_argument(
        "--department",
        dest="department_id",
        help=say("stop its work notices alone", "仅停发该单位的工作通知"),
    )
    add.add_argument("--note", default="")
    add.add_argument("--expires-at", metavar="RFC3339")
    _id(of, "lift", acts.lift_suppression, ("let it be sent to again", "解除"))


def _channels(of: Commands) -> None:
    _act(of, "list", acts.list_channels, ("all", "全部"))
    for name, act, words in (
        ("health", acts.show_health, ("how it is doing", "状态")),
        ("queue", acts.show_queue, ("what waits on it", "排队情况")),
    ):
        _act(of, name, act, words).add_argument("id", type=int)


def _stop_all(of: Commands) -> None:
    _act(of, "status", acts.show_stop, ("whether all is stopped", "是否已停发"))
    _reason(_act(of, "stop", acts.stop_all, ("stop everything", "全部停发")), required=True)
    lift = _act(of, "lift", acts.lift_stop, ("let sending go on", "恢复发送"))
    _reason(lift, required=True)
    lift.add_argument("--direct-runs", choices=["resume", "cancel"], default="cancel")


def _run(act: Act, options: argparse.Namespace) -> int:
    """Do it; whatever goes wrong is said in plain words on standard error."""
    try:
        return asyncio.run(_ask(act, options)) or 0
    except TocsinError as error:
        print(f"tocsin: {error}", file=sys.stderr)
        return next((code for kind, code in CODES.items() if isinstance(error, kind)), REFUSED)
    except TimeoutError:
        print(say("tocsin: it takes longer", "tocsin：尚未完成"), file=sys.stderr)
        return CODES[Unavailable]
    except (OSError, ValueError) as error:
        print(f"tocsin: {error}", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        return BROKEN_OFF


async def _ask(act: Act, options: argparse.Namespace) -> int | None:
    if not options.url:
        raise ValueError(say("set TOCSIN_API_URL, or give --url", "请设置 TOCSIN_API_URL 或 --url"))
    screen = Screen(as_json=options.json)
    patience = Patience(total=options.patience)
    async with Tocsin(options.url, _key(options.key_file), patience=patience) as tocsin:
        return await act(tocsin, options, screen)


def _key(file: Path | None) -> str:
    """The key; never from the command line, which everybody on the machine can read."""
    return Path(file).read_text("utf-8").strip() if file else os.environ.get("TOCSIN_API_KEY", "")
