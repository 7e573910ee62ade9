"""A browser without script: it keeps cookies, reads forms out of a page, and sends them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

from aiohttp import FormData
from multidict import CIMultiDictProxy

from tests.harness.logins import PASSWORD, person
from tests.integration.api.conftest import Api


@dataclass
class HtmlForm:
    """A form of a page: where it goes, and its fields as they stand."""

    action: str
    method: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    named: set[str] = field(default_factory=set)
    buttons: list[tuple[str, str]] = field(default_factory=list)


class _Forms(HTMLParser):
    """The forms, links and text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[HtmlForm] = []
        self.links: list[str] = []
        self.text: list[str] = []
        self._open: HtmlForm | None = None
        self._select: str | None = None
        self._area: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag == "form":
            self._open = HtmlForm(given.get("action", ""), given.get("method", "get"))
            self.forms.append(self._open)
        name = given.get("name")
        if self._open is None or (name is None and tag != "option"):
            return
        if tag == "select":
            self._select = name
            self._open.named.add(name or "")
        elif tag == "option":
            if "selected" in given and self._select:
                self._open.fields.append((self._select, given.get("value", "")))
        elif tag == "textarea":
            self._area = name
            self._open.named.add(name or "")
            self._open.fields.append((name or "", ""))
        elif tag == "button":
            self._open.buttons.append((name or "", given.get("value", "")))
        elif tag == "input":
            self._open.named.add(name or "")
            ticked = given.get("type") not in {"radio", "checkbox"} or "checked" in given
            if ticked and given.get("type") != "file":
                self._open.fields.append((name or "", given.get("value", "")))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = None
        if tag == "select":
            self._select = None
        if tag == "textarea":
            self._area = None

    def handle_data(self, data: str) -> None:
        if self._area is not None and self._open is not None:
            before = self._open.fields[-1][1]
            self._open.fields[-1] = (self._area, before + data.removeprefix("\n"))
        if data.strip():
            self.text.append(data.strip())


@dataclass
class Seen:
    """A page that was shown."""

    status: int
    path: str
    headers: CIMultiDictProxy[str]
    html: str

    @cached_property
    def _read(self) -> _Forms:
        read = _Forms()
        read.feed(self.html)
        return read

    @property
    def forms(self) -> list[HtmlForm]:
        return self._read.forms

    @property
    def links(self) -> list[str]:
        return self._read.links

    @cached_property
    def text(self) -> str:
        return " ".join(self._read.text)

    def form(self, action: str) -> HtmlForm:
        """The form that goes to an address."""
        found = [form for form in self.forms if form.action == action]
        assert len(found) == 1, f"{action} is not among {[form.action for form in self.forms]}"
        return found[0]


class Browser:
    """One person's browser at the console. language: as it says to every server."""

    def __init__(self, api: Api, language: str = "zh-CN") -> None:
        self.api = api
        self.cookies: dict[str, str] = {}
        self.language = language
        self.origin = str(api.client.make_url("/")).rstrip("/")

    async def ask(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, data: Any = None
    ) -> Seen:
        """One request, without following where it leads."""
        sent = {"Accept-Language": self.language, **(headers or {})}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        async with self.api.client.request(
            method, path, headers=sent, data=data, allow_redirects=False
        ) as response:
            body = await response.read()
            for name, morsel in response.cookies.items():
                if morsel.value and morsel["max-age"] != "0":
                    self.cookies[name] = morsel.value
                else:
                    self.cookies.pop(name, None)
            kind = response.headers.get("Content-Type", "")
            text = body.decode() if kind.startswith("text/") else ""
            self.api.client.session.cookie_jar.clear()
            return Seen(response.status, path, response.headers, text)

    async def get(self, path: str, **options: Any) -> Seen:
        """A page, wherever it leads."""
        return await self._follow(await self.ask("GET", path, **options))

    async def submit(
        self,
        page: Seen,
        action: str,
        typed: Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> Seen:
        """Fill in a form of a page and send it; a field of a list has a list."""
        form = page.form(action)
        typed = dict(typed or {})
        unknown = typed.keys() - form.named - {name for name, _ in form.buttons}
        assert not unknown, f"{action} has no field {unknown}, but {form.named}"
        fields = [(name, value) for name, value in form.fields if name not in typed]
        for name, value in typed.items():
            fields += [(name, one) for one in (value if isinstance(value, list) else [value])]
        data = FormData()
        for name, value in fields:
            data.add_field(name, value)
        return await self.post(action, data, headers=headers)

    async def post(self, path: str, data: Any, *, headers: Mapping[str, str] | None = None) -> Seen:
        """A form as a browser sends it, and where it leads."""
        sent = {"Origin": self.origin, **(headers or {})}
        return await self._follow(await self.ask("POST", path, headers=sent, data=data))

    async def _follow(self, seen: Seen) -> Seen:
        for _ in range(5):
            if seen.status != 303:
                return seen
            parts = urlsplit(seen.headers["Location"])
            path = parts.path + (f"?{parts.query}" if parts.query else "")
            seen = await self.ask("GET", path)
        raise AssertionError("it leads from one page to the next without an end")

    async def log_in(self, login: str, password: str = PASSWORD, **more: str) -> Seen:
        """Log in by the form."""
        page = await self.get("/login")
        return await self.submit(page, "/login", {"login": login, "password": password, **more})


async def browser_of(api: Api, role: str, language: str = "zh-CN") -> Browser:
    """Somebody of the county, logged in."""
    return await browser_at(api, await person(api, role), language)


async def browser_at(api: Api, login: str, language: str = "zh-CN") -> Browser:
    """Somebody who has chosen a password (`tests/harness/logins.py`), logged in."""
    browser = Browser(api, language)
    seen = await browser.log_in(login)
    assert seen.status == 200, seen.text
    return browser
