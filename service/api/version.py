"""ETag, If-Match, If-None-Match (RFC 9110 §13): who edits says what they had seen.

The version of a thing is the hash of what its GET shows. An edit with If-Match is carried out only
if the thing is still so; all edits of one thing come one after the other, so that of two who saw
the same, one is told.
"""

import hashlib
from collections.abc import Mapping

from pydantic import BaseModel

from service.api import store
from service.api.call import Call
from service.api.op import Op
from service.api.problems import Stale

ETAG = "ETag"
IF_MATCH = "If-Match"
IF_NONE_MATCH = "If-None-Match"


def tag_of(body: bytes) -> str:
    """The version of a thing that is shown so."""
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def names(header: str, tag: str) -> bool:
    """Whether a list of versions has this one; `*` has any."""
    given = [item.strip().removeprefix("W/") for item in header.split(",")]
    return "*" in given or tag in given


def shown(result: BaseModel) -> bytes:
    """What an answer says, as JSON."""
    return result.model_dump_json(by_alias=True).encode()


async def check_unchanged(
    call: Call, reader: Op, arguments: Mapping[str, object], header: str | None
) -> None:
    """Keep others from editing the thing meanwhile, and compare it with what the caller had seen.

    Raises:
        Stale: it has changed since.
        NotFound: it is not there.
    """
    own = {name: arguments[name] for name in reader.parameters}
    await store.lock_edit(call.conn, reader.path.format(**own))
    if header is None:
        return
    result = await reader.handler(call, **own)
    if not isinstance(result, BaseModel) or not names(header, tag_of(shown(result))):
        raise Stale("this has changed since you saw it; read it again, and edit what it is now")
