"""A row of the console's table of pages: an address, the function behind it, and whose it is."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web
from multidict import MultiDictProxy

from service.accounts.people.model import Right
from service.api.http.downloads import MadeFile
from service.console.asking import Desk
from service.console.language import Language
from service.console.render import Gone, Shown

PageFunction = Callable[[Desk], Awaitable[Shown | Gone | MadeFile | None]]
OpenFunction = Callable[[web.Request, Language, MultiDictProxy[str]], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class WebPage:
    """A page, or what a form of one does.

    function: reads operations and says what the template is told (None: the part is as the page has
    it already); for a POST, carries one out.
    right: that it takes; None: whoever has logged in.
    again: the page whose form is shown again, with what was typed, when the act is refused.
    heavy: whether it asks for operations that count, list or check many rows.
    is_part: whether it is swapped into a page, and so has nothing around it.
    is_polled: whether the page asks for it by itself, which is no use of the session.
    is_noted: of a GET whose file an operation gives out that the audit trail names: it is carried
    out, and not read in a transaction.
    takes_file: whether its form has a file.
    reads: of a POST that changes nothing (it has something in it that no address may have): it is
    shown in a transaction, as a GET is.
    replica: whether what it shows may be a few seconds old, and so be read on a standby; then it
    says how old that is (`_as_of.html`).
    """

    method: str
    path: str
    function: PageFunction
    right: Right | None = None
    again: PageFunction | None = None
    heavy: bool = False
    is_part: bool = False
    is_polled: bool = False
    is_noted: bool = False
    takes_file: bool = False
    reads: bool = False
    replica: bool = False


@dataclass(frozen=True, slots=True)
class OpenPage:
    """A page for whoever has not logged in.

    reads: of a POST that changes nothing and knows nobody: it is taken from browsers that do not
    say which page sent it, as old ones do not.
    """

    method: str
    path: str
    function: OpenFunction
    reads: bool = False
