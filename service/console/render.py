"""Pages as HTML: Jinja templates, escaped by themselves, under a policy without inline script.

A template is told what its page says and, for all pages, who asks, the menu, and what stands over
everything: a stop, a drill, a simulated clock. `asset` gives the address of a file of `static/`
with its hash in it, so that browsers keep it for good.
"""

import gzip
import hashlib
import mimetypes
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from types import CodeType
from typing import Any

from aiohttp import web
from jinja2 import BytecodeCache, Environment, PackageLoader, StrictUndefined
from jinja2.bccache import Bucket
from markupsafe import Markup

from service.console.asking import KEY
from service.console.language import Language
from service.console.session import CSRF, OpenSession
from service.words.catalogues import Catalogue

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
PAGE_HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",  # with no-referrer, a form of ours would name no origin
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "X-Frame-Options": "DENY",
    "Vary": "Accept-Encoding, Cookie, Accept-Language",
}
STATIC = "/static"
SMALLEST_PACKED = 1_000
"""Octets; a smaller page is sent as it is."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A page, or a part of one: its template and what it is told. status: of the response."""

    template: str
    told: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200


@dataclass(frozen=True, slots=True)
class Gone:
    """An act is done: the browser goes to another page, which says `notice` first.

    ends_session: whether the browser forgets its session and all that it has kept.
    """

    address: str
    notice: str = ""
    ends_session: bool = False


@cache
def assets() -> Mapping[str, tuple[str, bytes]]:
    """The files of `static/` by name: the hash in their address, and their octets."""
    root = files("service.console") / "static"
    found = {}
    for folder, prefix in ((root, ""), (root / "vendor", "vendor/")):
        if not folder.is_dir():
            continue
        for file in folder.iterdir():
            if file.is_file() and file.name.endswith((".css", ".js", ".svg")):
                octets = file.read_bytes()
                found[prefix + file.name] = (hashlib.sha256(octets).hexdigest()[:16], octets)
    return found


def asset(name: str) -> str:
    """The address of a file of `static/`."""
    return f"{STATIC}/{assets()[name][0]}/{name}"


async def show_asset(request: web.Request) -> web.Response:
    """A file of `static/`; its address has its hash, so it never changes."""
    found = assets().get(request.match_info["name"])
    if found is None or found[0] != request.match_info["hash"]:
        raise web.HTTPNotFound
    kind = mimetypes.guess_type(request.match_info["name"])[0] or "application/octet-stream"
    response = web.Response(
        body=found[1],
        headers={
            "Content-Type": f"{kind}; charset=utf-8",
            "Cache-Control": "public, max-age=31536000, immutable",
            "Vary": "Accept-Encoding",
        },
    )
    return packed(request, response)


class _CompiledOnce(BytecodeCache):
    """Templates as code, for the environments of both languages: to compile all takes a second."""

    def __init__(self) -> None:
        self._codes: dict[tuple[str, str], CodeType] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._codes.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        if bucket.code is not None:
            self._codes[bucket.key, bucket.checksum] = bucket.code


_COMPILED = _CompiledOnce()


@cache
def _environment(code: str) -> Environment:
    environment = Environment(
        loader=PackageLoader("templates", "console"),
        bytecode_cache=_COMPILED,
        extensions=["jinja2.ext.i18n"],
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["ext.i18n.trimmed"] = True
    environment.install_gettext_translations(Catalogue(code), newstyle=True)  # type: ignore[attr-defined]  # of the extension
    return environment


def html_of(
    shown: Shown, language: Language, session: OpenSession | None, told: Mapping[str, Any]
) -> str:
    """A page as HTML. told: what every template is told beside its own."""
    own: Mapping[str, Callable[..., object]] = {
        "asset": asset,
        "csrf": lambda: _form_fields(session),
    }
    template = _environment(language.code).get_template(shown.template)
    return template.render(
        {
            **own,
            "t": language,
            "lang": language.code,
            "csrf_token": session.csrf() if session else "",
            **told,
            **shown.told,
        }
    )


def _form_fields(session: OpenSession | None) -> Markup:
    """The hidden fields of every form: the session's token, and a key that makes it happen once."""
    token = session.csrf() if session else ""
    key = secrets.token_urlsafe(18)
    field = Markup('<input type="hidden" name="{}" value="{}">')  # the values are escaped
    return field.format(CSRF, token) + field.format(KEY, key)


def response_of(request: web.Request, html: str, status: int) -> web.Response:
    """A page as a response."""
    response = web.Response(
        text=html, status=status, content_type="text/html", headers=PAGE_HEADERS
    )
    return packed(request, response)


def packed(request: web.Request, response: web.Response) -> web.Response:
    """The same response, packed where the browser takes that."""
    body = response.body
    if (
        isinstance(body, bytes)
        and len(body) >= SMALLEST_PACKED
        and "gzip" in request.headers.get("Accept-Encoding", "")
    ):
        response.body = gzip.compress(body, compresslevel=5, mtime=0)
        response.headers["Content-Encoding"] = "gzip"
    return response
