"""The catalogue of problems: what each `type` means and what to do about it.

`type` of an error is the address of its page, `/problems/CODE`. docs/problems.md is this page.
"""

import json
from importlib.resources import files

from aiohttp import web

from service.api.http.problems import language_of
from service.audience.numbers.number import REASONS
from service.words.phrase import Phrase, pair, phrase, translated

_WRITTEN = json.loads((files("service.api") / "problems.json").read_text("utf-8"))
PROBLEMS: dict[str, Phrase] = {
    **{
        code: phrase("In a cell for a phone number: {why}.", why=why)
        for code, why in REASONS.items()
    },
    **{code: pair(said["zh"], said["en"]) for code, said in _WRITTEN.items()},
}
"""Each code of an error that the API may answer with."""


def page() -> str:
    """The whole catalogue."""
    lines = [
        "# Problems",
        "",
        "Errors are RFC 9457 problems. `type` is `/problems/CODE`: stable, and a page to read.",
        "`detail` is about the case, `fields` names what is wrong with each field. All are in the",
        "language of `Accept-Language`, English or Chinese, and in English without it.",
        "",
        "| code | what it means, and what to do | 含义与处理 |",
        "|---|---|---|",
        *(f"| `{code}` | {PROBLEMS[code]} | {_chinese(code)} |" for code in sorted(PROBLEMS)),
    ]
    return "\n".join(lines) + "\n"


def _chinese(code: str) -> str:
    return translated(PROBLEMS[code], "zh")


async def show_all(_: web.Request) -> web.Response:
    """The whole catalogue, for everybody."""
    return web.Response(text=page(), content_type="text/markdown")


async def show_one(request: web.Request) -> web.Response:
    """What one problem means, for everybody, in the language that is asked for."""
    code = request.match_info["code"]
    if code not in PROBLEMS:
        raise web.HTTPNotFound
    language = language_of(request)
    return web.Response(
        text=f"# {code}\n\n{translated(PROBLEMS[code], language)}\n",
        content_type="text/markdown",
        headers={"Content-Language": language, "Vary": "Accept-Language"},
    )
