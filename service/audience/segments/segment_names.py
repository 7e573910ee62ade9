"""The names of saved segments: each means one rule, however it is typed.

A rule refers to a segment by its name, in the form in which words are compared (`fold`). So no two
segments of a department may have names that are the same in that form, or rules that were read
before could not be read any more. What a test or trial key made gives way to a live segment.
"""

from uuid import UUID

from service.accounts.keys.key import Mode
from service.audience.segments import segment_store
from service.audience.segments.segment_words import fold
from service.errors import Conflict
from service.storage.postgres import Connection
from service.words.phrase import phrase


async def take_name(
    conn: Connection, department_id: UUID, name: str, mode: str, but: UUID | None = None
) -> None:
    """See to it that a segment can have a name; the caller has locked the department's segments.

    mode: what kind of key made the segment. but: the segment itself, if it is there already. A
    segment of a test or trial key that has the name is renamed where a live one takes it.

    Raises:
        Conflict: another segment has the name, perhaps in other case or width.
    """
    for other_id, other, its_mode in await segment_store.list_names(conn, department_id):
        if other_id == but or fold(other) != fold(name):
            continue
        if mode != Mode.LIVE or its_mode == Mode.LIVE:
            raise Conflict(phrase("there is a segment named {name} already", name=other))
        await segment_store.rename_segment(conn, other_id, f"{other} ({its_mode} {other_id})")
