"""The catalogue of problems: what each `type` means and what to do about it.

`type` of an error is the address of its page, `/problems/CODE`. docs/problems.md is this page.
"""

import json
from importlib.resources import files

from aiohttp import web

from service.audience.numbers.number import REASONS

PROBLEMS: dict[str, str] = {
    **{code: f"In a cell for a phone number: {why}." for code, why in REASONS.items()},
    **json.loads((files("service.api") / "problems.json").read_text("utf-8")),
}
"""Each code of an error that the API may answer with."""


def page() -> str:
    """The whole catalogue."""
    lines = [
        "# Problems",
        "",
        "Errors are RFC 9457 problems. `type` is `/problems/CODE`: stable, and a page to read.",
        "`detail` is about the case, `fields` names what is wrong with each field.",
        "",
        "| code | what it means, and what to do |",
        "|---|---|",
        *(f"| `{code}` | {PROBLEMS[code]} |" for code in sorted(PROBLEMS)),
    ]
    return "\n".join(lines) + "\n"


async def show_all(_: web.Request) -> web.Response:
    """The whole catalogue, for everybody."""
    return web.Response(text=page(), content_type="text/markdown")


async def show_one(request: web.Request) -> web.Response:
    """What one problem means, for everybody."""
    code = request.match_info["code"]
    if code not in PROBLEMS:
        raise web.HTTPNotFound
    return web.Response(text=f"# {code}\n\n{PROBLEMS[code]}\n", content_type="text/markdown")
