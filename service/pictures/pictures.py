"""Pictures of reports: kept encrypted, seen by whom they concern, masked for good, handed in.

The file that somebody sends is read by `picture_process` and then gone. What is kept was made from
its pixels alone, in three sizes. The day on which it was taken is compared with the days of the
report that it is for; the answer is kept, the day is not.
"""

import hashlib
from collections.abc import AsyncIterator, Collection, Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from service.accounts.departments.department import COUNTY
from service.accounts.people.model import User
from service.crypto import Keyring
from service.errors import Conflict, Forbidden, Invalid, NotFound
from service.pictures import picture_store
from service.pictures.model import SIDES, Box, MadePictures
from service.pictures.picture_process import read_picture
from service.pictures.picture_store import KeptPicture, NewPicture
from service.storage.postgres import Connection
from service.words.phrase import phrase

MOST_OF_A_REPORT = 20
"""So many pictures belong to one report."""
MOST_WAITING = 200
"""So many pictures of one department wait to be handed in."""
MOST_BOXES = 50
"""So many boxes one mask has."""

_KIND = "picture"
_COLUMNS = dict(zip(SIDES, ("large_cipher", "medium_cipher", "small_cipher"), strict=True))


class PicturePeriod(NamedTuple):
    """What a picture is for: a duty, if one was named, and the days that it is to be of."""

    duty_id: UUID | None
    first_on: date
    last_on: date


class PictureFile(NamedTuple):
    """A file that came: its SHA-256 in hexadecimal, and what was made of it."""

    sha256: str
    made: MadePictures


class ReportedPicture(NamedTuple):
    """A picture of a report, in clear. sha256: of `jpeg`."""

    picture: KeptPicture
    jpeg: bytes
    sha256: bytes


def may_see(user: User, picture: KeptPicture) -> bool:
    """Whether a picture exists for somebody: of the own department, for administrators of the
    county and inspectors; once it was handed in, for the whole county and for the department that
    asks for the report.
    """
    if user.sees(picture.department_id):
        return True
    asks = picture.setter_id == user.department_id or user.department_kind == COUNTY
    return picture.reported_at is not None and asks


async def find(conn: Connection, actor: User, picture_id: UUID) -> KeptPicture:
    """A picture that somebody may see.

    Raises:
        NotFound: there is none of this id that the actor may see.
    """
    picture = await picture_store.find_picture(conn, picture_id)
    if picture is None or not may_see(actor, picture):
        raise _missing(picture_id)
    return picture


async def keep(
    conn: Connection,
    keyring: Keyring,
    actor: User,
    file: PictureFile,
    period: PicturePeriod,
    now: datetime,
) -> KeptPicture:
    """Keep a picture for the actor's department.

    Raises:
        Conflict: the department has so many already that were not handed in.
    """
    department_id = actor.department_id
    if await picture_store.count_waiting(conn, department_id, MOST_WAITING) >= MOST_WAITING:
        raise Conflict(
            phrase(
                "your department has {most} pictures that were not handed in; delete those that"
                " are not needed",
                most=MOST_WAITING,
            ),
            code="too_many_pictures",
        )
    made = file.made
    in_week = None
    if made.taken_on is not None:
        in_week = period.first_on <= made.taken_on <= period.last_on
    new = NewPicture(
        department_id,
        period.duty_id,
        actor.id,
        now,
        made.width,
        made.height,
        len(made.jpegs[0]),
        hashlib.sha256(made.jpegs[0]).digest(),
        keyring.index(_KIND, file.sha256),
        made.difference_hash,
        in_week,
        *_ciphers(keyring, made),
    )
    picture_id = await picture_store.insert_picture(conn, new)
    return await find(conn, actor, picture_id)


def _ciphers(keyring: Keyring, made: MadePictures) -> tuple[bytes, bytes, bytes]:
    large, medium, small = (keyring.encrypt_bytes(_KIND, jpeg) for jpeg in made.jpegs)
    return large, medium, small


async def octets_of(conn: Connection, keyring: Keyring, picture_id: UUID, side: int) -> bytes:
    """The JPEG of a picture, of one of `SIDES`; the smallest, where that alone is left.

    Raises:
        NotFound: there is none.
    """
    row = await picture_store.get_ciphers(conn, picture_id)
    if row is None:
        raise _missing(picture_id)
    return keyring.decrypt_bytes(_KIND, row[_COLUMNS[side]] or row["small_cipher"])


async def mask(
    conn: Connection,
    keyring: Keyring,
    actor: User,
    picture_id: UUID,
    boxes: Sequence[Box],
    now: datetime,
) -> KeptPicture:
    """Make parts of a picture unreadable for good, in all sizes.

    Raises:
        NotFound, Forbidden: as for `find`; it is another department's.
        Conflict: only its small size is left.
        Invalid: a box lies outside.
        Unavailable: too many pictures are being read.
    """
    picture = await _lock_own(conn, actor, picture_id)
    if not picture.whole:
        raise Conflict(
            phrase("only the small picture is left after a year, and that is not changed"),
            code="picture_dropped",
        )
    for n, (x, y, width, height) in enumerate(boxes):
        if x + width > picture.width or y + height > picture.height:
            raise Invalid.at(
                f"boxes.{n}",
                phrase(
                    "the box lies outside of the picture, which is {width} × {height} pixels",
                    width=picture.width,
                    height=picture.height,
                ),
            )
    jpeg = await octets_of(conn, keyring, picture_id, SIDES[0])
    made = await read_picture([jpeg], boxes)
    large = made.jpegs[0]
    known = (len(large), hashlib.sha256(large).digest())
    await picture_store.put_masked(
        conn, picture_id, _ciphers(keyring, made), known, (actor.id, now)
    )
    return await find(conn, actor, picture_id)


async def delete(conn: Connection, actor: User, picture_id: UUID) -> None:
    """Delete a picture that was not handed in.

    Raises:
        NotFound, Forbidden: as for `mask`.
        Conflict: it was handed in.
    """
    picture = await _lock_own(conn, actor, picture_id)
    if picture.reported_at is not None:
        raise Conflict(
            phrase("it was handed in with a report, and stays with it; parts of it can be masked"),
            code="picture_reported",
        )
    await picture_store.delete_picture(conn, picture_id)


async def _lock_own(conn: Connection, actor: User, picture_id: UUID) -> KeptPicture:
    found = await picture_store.lock_pictures(conn, [picture_id])
    if not found or not may_see(actor, found[0]):
        raise _missing(picture_id)
    if found[0].department_id != actor.department_id:
        raise Forbidden(phrase("only the department whose picture it is changes or deletes it"))
    return found[0]


async def to_hand_in(
    conn: Connection, actor: User, duty_id: UUID, picture_ids: Sequence[UUID], *, checked: bool
) -> list[KeptPicture]:
    """The pictures of a report, locked, in the order in which they were named. checked: the actor
    confirms that they show no minor's face and no number.

    Raises:
        Invalid: one is named twice, is none of the own department's, or is of another report; or
            nobody has looked at them.
    """
    if not picture_ids:
        return []
    if not checked:
        raise Invalid.at(
            "pictures_checked",
            phrase(
                "look at each picture and confirm that no minor's face and no person's number can"
                " be seen; mask what can"
            ),
        )
    if len(set(picture_ids)) < len(picture_ids):
        raise Invalid.at("pictures", phrase("a picture is named twice"))
    found = {one.id: one for one in await picture_store.lock_pictures(conn, picture_ids)}
    for n, picture_id in enumerate(picture_ids):
        picture = found.get(picture_id)
        if picture is None or picture.department_id != actor.department_id:
            raise Invalid.at(
                f"pictures.{n}", phrase("your department has no picture {id}", id=picture_id)
            )
        if picture.reported_at is not None and picture.duty_id != duty_id:
            raise Invalid.at(
                f"pictures.{n}",
                phrase("it was handed in with another report; take another picture"),
            )
    return [found[picture_id] for picture_id in picture_ids]


def check_count(needed: int, pictures: Collection[KeptPicture]) -> None:
    """Refuse a report with fewer pictures than it needs.

    Raises:
        Invalid: there are fewer.
    """
    if len(pictures) < needed:
        raise Invalid.at(
            "pictures",
            phrase(
                "this report needs {needed} pictures, and has {given}",
                needed=needed,
                given=len(pictures),
            ),
        )


async def reported_pictures(
    conn: Connection, keyring: Keyring, department_id: UUID, period: str, side: int = SIDES[1]
) -> AsyncIterator[ReportedPicture]:
    """The pictures of the weekly report that a department handed in last for a week (`2027-W03`),
    in their order, one decrypted at a time; at most 800 px unless another of `SIDES` is asked for.
    One that is older than a year has its small size alone.
    """
    for picture in await picture_store.list_of_week(conn, department_id, period):
        jpeg = await octets_of(conn, keyring, picture.id, side)
        yield ReportedPicture(picture, jpeg, hashlib.sha256(jpeg).digest())


def _missing(picture_id: UUID) -> NotFound:
    return NotFound(phrase("there is no picture {id}", id=picture_id))
