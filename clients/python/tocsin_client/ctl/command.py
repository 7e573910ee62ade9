"""The words of `tocsin ctl`, in English and Chinese, and what its exit code means.

0 done · 1 refused, or found bad · 2 wrong usage · 3 the key is not valid, or may not · 4 no such
thing · 5 the service cannot be reached, or cannot answer now: try again · 130 broken off ·
141 nobody reads on
"""

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tocsin_client import (
    Forbidden,
    NotFound,
    Patience,
    Tocsin,
    TocsinError,
    TooManyRequests,
    Unauthorized,
)
from tocsin_client.ctl.nouns import NOUNS, WORK
from tocsin_client.ctl.parser import Act, Options, Parser
from tocsin_client.ctl.pipes import NOBODY_READS, is_unread
from tocsin_client.ctl.screen import LANGUAGE, Screen, say, speaks_chinese
from tocsin_client.ctl.table import TABLE
from tocsin_client.errors import Unavailable

CODES: dict[type[TocsinError], int] = {
    Unauthorized: 3,
    Forbidden: 3,
    NotFound: 4,
    Unavailable: 5,
    TooManyRequests: 5,
}
REFUSED, USAGE, BROKEN_OFF = 1, 2, 130


def main(arguments: Sequence[str] | None = None, *, prog: str = "tocsin-ctl") -> int:
    """Run one command; returns the exit code."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    before = LANGUAGE.set(_language(given))
    try:
        try:
            return run(parser(prog).parse_args(given))
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        if is_unread(sys.stdout):
            return NOBODY_READS
        raise
    finally:
        LANGUAGE.reset(before)


def _language(arguments: Sequence[str]) -> str:
    """What `--lang` says, which is known before the parser is made, as its words depend on it."""
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
        name, _, value = argument.partition("=")
        if name == "--lang":
            return value or following
    return ""


def parser(prog: str) -> Parser:
    """The whole command line."""
    made = Parser(prog=prog)
    made.description = say(
        "Tocsin over its API, as the key's user: TOCSIN_API_URL, and TOCSIN_API_KEY or a file.",
        "通过接口操作警钟，身份为密钥所属用户：TOCSIN_API_URL，以及 TOCSIN_API_KEY 或密钥文件。",
    )
    made.epilog = say(
        "Exit codes: 0 done, 1 refused or found bad, 2 wrong usage, 3 not allowed, 4 no such"
        " thing, 5 try again later.",
        "退出码：0 完成，1 被拒绝或结果不合格，2 用法错误，3 无权限，4 不存在，5 请稍后重试。",
    )
    made.take("--url", words=("the address", "服务地址"), default=os.environ.get("TOCSIN_API_URL"))
    made.take(
        "--key-file",
        words=("a file with the key; else TOCSIN_API_KEY", "密钥文件；否则用 TOCSIN_API_KEY"),
        type=Path,
        default=os.environ.get("TOCSIN_API_KEY_FILE"),
    )
    made.take("--json", words=("JSON, a value a line", "输出 JSON，每行一个"), action="store_true")
    made.take(
        "--lang",
        words=(
            "the language; default: that of TOCSIN_LANGUAGE, or LANG's",
            "语言，默认随 TOCSIN_LANGUAGE 或 LANG",
        ),
        choices=["zh", "en"],
    )
    made.take(
        "--patience",
        words=("how long to go on trying", "最长重试时间（秒）"),
        type=float,
        default=Patience().total,
        metavar="SECONDS",
    )
    _add_nouns(made)
    return made


def _add_nouns(made: Parser) -> None:
    nouns = made.below(("NOUN", "对象"))
    for name, words, add in NOUNS:
        noun = nouns.add_parser(name, help=say(*words), description=say(*words))
        commands = noun.below(("ACT", "操作"), required=name != WORK)
        add(commands)
        for request in TABLE:
            if request.noun == name:
                request.add_to(commands)
        if name == WORK:
            noun.set_defaults(act=commands.choices["list"].get_default("act"))


def run(options: Options) -> int:
    """Do it; whatever goes wrong is said in plain words on standard error."""
    try:
        return asyncio.run(_ask(options.act, options)) or 0
    except TocsinError as error:
        print(f"tocsin: {error}", file=sys.stderr)
        return next((code for kind, code in CODES.items() if isinstance(error, kind)), REFUSED)
    except TimeoutError:
        print(say("tocsin: it takes longer", "tocsin：尚未完成"), file=sys.stderr)
        return CODES[Unavailable]
    except BrokenPipeError:
        raise
    except (OSError, ValueError) as error:
        print(f"tocsin: {error}", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        return BROKEN_OFF


async def _ask(act: Act, options: Options) -> int | None:
    if not options.url:
        raise ValueError(say("set TOCSIN_API_URL, or give --url", "请设置 TOCSIN_API_URL 或 --url"))
    screen = Screen(as_json=options.json)
    patience = Patience(total=options.patience)
    language = "zh" if speaks_chinese() else "en"
    key = _key(options.key_file)
    async with Tocsin(options.url, key, patience=patience, language=language) as tocsin:
        return await act(tocsin, options, screen)


def _key(file: Path | None) -> str:
    """The key; never from the command line, which everybody on the machine can read."""
    return Path(file).read_text("utf-8").strip() if file else os.environ.get("TOCSIN_API_KEY", "")
