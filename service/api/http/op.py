"""One operation of the API: the row of the route table, and what its handler's annotations say.

A handler is `async def act(call: Call, campaign_id: UUID, body: Model, query: Model) -> Out`; its
path parameters by name, `body`, `query`, `file` and the answer are read from its signature, so
that validation, documentation and code cannot differ.
"""

import inspect
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, get_args, get_origin, get_type_hints

from pydantic import BaseModel

from service.accounts.keys.key import Key, Mode
from service.accounts.people.model import Right
from service.api.http.call import Call, Download, Later
from service.errors import Forbidden
from service.storage.postgres import HOT_SECONDS
from service.words.phrase import phrase
from service.words.terms import term

Arguments = dict[str, Any]
"""What a handler is called with, by name."""

Handler = Callable[..., Coroutine[Any, Any, object]]
_OUT_OF_SCOPE = "out_of_scope"
_RESERVED = frozenset({"call", "visit", "body", "query", "file", "listed", "return"})


@dataclass(frozen=True)
class Op:
    """A row of the route table.

    right: the right that the caller needs; None: every known caller may call it, about themselves.
    status: of a success.
    media: of the answer, where it is a file; several: the form that is asked for decides.
    errors: statuses of refusals that do not follow from the signature.
    changes: whether it changes or reveals something; None: the method decides (see `audited`).
    test_keys: whether trial and test keys may call it although it changes something, since nobody
        else notices the change.
    scoped_keys: whether keys with limits of area or roster may call it, since it keeps to them.
    logged_in: whether only a person who has logged in may call it, and no key.
    replayable: whether the answer to a POST is stored, and given again to a request with the same
        Idempotency-Key. False for an answer that shows a secret, or a person in full; the POST is
        done only once all the same.
    full_replace: whether a PUT sets, and answers, exactly what the GET of its address shows.
    seconds: how long each of its statements may take.
    heavy: whether it counts, lists, checks or exports many rows; one caller may run only a few of
        these at once (`admission`).
    read_file: reads the uploaded file before a database connection is taken; the handler gets the
        result as `listed`.
    visits: as what calls without a key are counted by address; "": as those of their method are.
    guard: refuses arguments that the caller may not touch, in the transaction, before the handler.
    replica: whether its answer may be a few seconds old, and so come from a standby; never of what
        a person signs, or what binds anything.
    replica_if: where that depends on what is asked for: asked of the primary, before.
    """

    method: str
    path: str
    handler: Handler
    right: Right | None
    status: int = 200
    errors: tuple[int, ...] = ()
    media: str | tuple[str, ...] = "text/csv"
    changes: bool | None = None
    test_keys: bool = False
    scoped_keys: bool = False
    logged_in: bool = False
    replayable: bool = True
    full_replace: bool = False
    seconds: float = HOT_SECONDS
    heavy: bool = False
    read_file: Callable[[Any, Any], Coroutine[Any, Any, object]] | None = None
    guard: Callable[[Call, Mapping[str, Any]], Coroutine[Any, Any, None]] | None = None
    visits: str = ""
    replica: bool = False
    replica_if: Callable[[Call, Mapping[str, Any]], Coroutine[Any, Any, bool]] | None = None

    @cached_property
    def hints(self) -> Mapping[str, Any]:
        """The annotations of the handler."""
        return get_type_hints(self.handler, include_extras=True)

    @cached_property
    def body(self) -> type[BaseModel] | None:
        """The model of the body."""
        return self.hints.get("body")

    @cached_property
    def body_optional(self) -> bool:
        """Whether an empty body will do."""
        return self.body is not None and not any(
            field.is_required() for field in self.body.model_fields.values()
        )

    @cached_property
    def takes_file(self) -> bool:
        """Whether the body is a form with a file."""
        return "file" in self.hints

    @cached_property
    def query(self) -> type[BaseModel] | None:
        """The model of the query string."""
        return self.hints.get("query")

    @cached_property
    def parameters(self) -> Mapping[str, type]:
        """The path parameters with their types."""
        return {name: hint for name, hint in self.hints.items() if name not in _RESERVED}

    @cached_property
    def out(self) -> type[BaseModel] | type[Download] | None:
        """The model of the answer; None: the answer has no body."""
        answer = self.hints["return"]
        if get_origin(answer) is Later:
            answer = get_args(answer)[0]
        return None if answer is type(None) else answer

    @cached_property
    def audited(self) -> bool:
        """Whether the audit trail gets an entry: for all but GET, and for files given out."""
        if self.is_open:
            return False  # the caller is known only at the end: the handler writes the entry
        if self.changes is not None:
            return self.changes
        return self.method != "GET" or self.out is Download

    @cached_property
    def is_read(self) -> bool:
        """Whether it changes nothing but perhaps the audit trail."""
        return self.method == "GET" or not self.audited

    @cached_property
    def is_bounded(self) -> bool:
        """Whether PostgreSQL limits the time of its statements: for reads, and for operations that
        may take long. For the rest the client's own time limit is enough, and needs no statement.
        """
        return self.is_read or self.heavy or self.seconds > HOT_SECONDS

    @cached_property
    def is_open(self) -> bool:
        """Whether it is for callers that have not logged in and give no key."""
        return "visit" in self.hints

    @cached_property
    def is_once(self) -> bool:
        """Whether an Idempotency-Key makes it happen once: every POST, except one that answers with
        a file, asks another service (`Later`), or is for callers that are not known yet.
        """
        outside = get_origin(self.hints["return"]) is Later
        return self.method == "POST" and not (self.is_open or outside or self.out is Download)

    @property
    def takes_test_keys(self) -> bool:
        """Whether trial and test keys may call it, as far as their rights go."""
        return self.test_keys or not self.audited

    @property
    def takes_scoped_keys(self) -> bool:
        """Whether keys with limits of area or roster may call it: those that keep to the limits,
        and reports, which only count.
        """
        return self.scoped_keys or (self.method == "GET" and self.right is Right.REPORTS)

    def need_key(self, key: Key | None) -> None:
        """Refuse a key that may not call this operation.

        Raises:
            Forbidden: it is a trial or test key, or has limits to which the operation does not
                keep; or no key may call the operation.
        """
        if key is None:
            return
        if self.logged_in:
            raise Forbidden(
                phrase("this takes a session: log in with your password"), code="session_needed"
            )
        mode = key.grant.mode
        if mode is not Mode.LIVE and not self.takes_test_keys:
            raise Forbidden(
                phrase("this is not for {mode} keys: take a live one", mode=term(mode)),
                code=_OUT_OF_SCOPE,
            )
        if key.is_narrow and not self.takes_scoped_keys:
            raise Forbidden(
                phrase(
                    "this key is for some areas or rosters only, and this would reach"
                    " beyond them; take a key without such limits"
                ),
                code=_OUT_OF_SCOPE,
            )

    @property
    def is_edit(self) -> bool:
        """Whether it changes one thing that a GET of the same address shows."""
        return self.full_replace or (self.method == "PATCH" and bool(self.parameters))

    @property
    def name(self) -> str:
        """A name that is unique in the API."""
        return self.handler.__name__

    @property
    def summary(self) -> str:
        """The first line of the handler's docstring."""
        return inspect.cleandoc(self.handler.__doc__ or "").partition("\n")[0]

    @property
    def statuses(self) -> list[int]:
        """Every status of a refusal that a caller may meet here."""
        found = {401, 403, 422, 429, 503, *self.errors}
        if self.parameters:
            found.add(404)
        if self.method == "POST":
            found |= {400, 409}  # its Idempotency-Key is malformed, or in use
        if self.is_edit:
            found.add(412)
        if self.out is Download:
            found.add(413)  # larger than is given out
        if self.body is not None:
            found |= {400, 408, 413, 415}
        return sorted(found)
