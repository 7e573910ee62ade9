"""ETag, If-Match, If-None-Match (RFC 9110 §13): who edits says what they had seen.

The version of a thing is the hash of what its GET shows, but for what moves with the clock alone,
as the next fires of a plan do. An edit with If-Match is carried out only
if the thing is still so; all edits of one thing come one after the other, so that of two who saw
the same, one is told.
"""

import hashlib
import json
from collections.abc import Mapping

from service.api.http.call import Call
from service.api.http.op import Op
from service.api.http.problems import Stale
from service.api.http.schema import Out, as_json
from service.errors import Forbidden, NotFound
from service.storage.locks import lock_edit
from service.words.catalogues import LANGUAGES
from service.words.phrase import phrase

ETAG = "ETag"
IF_MATCH = "If-Match"
IF_NONE_MATCH = "If-None-Match"


def tag_of(body: bytes, moving: frozenset[str]) -> str:
    """The version of a thing that is shown so, without its members that move with the clock."""
    if moving:
        told = json.loads(body)
        body = json.dumps([(name, told[name]) for name in told if name not in moving]).encode()
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def in_language(tag: str, language: str) -> str:
    """The version of a thing whose sentences are told in another language than English: a copy in
    one language is none in the other, and whoever edits may have read either.
    """
    return f'{tag[:-1]}-{language}"'


def names(header: str, tag: str) -> bool:
    """Whether a list of versions has this one; `*` has any."""
    return not {"*", tag}.isdisjoint(_given(header))


def names_in_any_language(header: str, tag: str) -> bool:
    """Whether a list of versions has this one, or the same in another language; `*` has any."""
    told = {"*", tag, *(in_language(tag, language) for language in LANGUAGES)}
    return not told.isdisjoint(_given(header))


def _given(header: str) -> list[str]:
    return [item.strip().removeprefix("W/") for item in header.split(",")]


async def check_unchanged(
    call: Call, reader: Op, arguments: Mapping[str, object], header: str | None
) -> Out | None:
    """Keep others from editing the thing meanwhile, and compare it with what the caller had seen,
    if the caller says that; returns what it is before the edit, None: it is not shown.

    Raises:
        Stale: it has changed since.
        NotFound: it is not there, and the caller has seen it.
    """
    own = {name: arguments[name] for name in reader.parameters}
    await lock_edit(call.conn, reader.path.format(**own))
    asked = {} if reader.query is None else {"query": reader.query()}
    try:
        result = await reader.handler(call, **own, **asked)
    except (NotFound, Forbidden):
        if header is not None:
            raise
        return None  # the edit itself says so, or is the first
    if not isinstance(result, Out):
        return None
    if header is not None and not names_in_any_language(
        header, tag_of(as_json(result, call.runtime.settings.zone), result.BY_THE_CLOCK)
    ):
        raise Stale(
            phrase("this has changed since you saw it; read it again, and edit what it is now")
        )
    return result
