"""Pictures of reports over HTTP: sent, seen, masked, deleted.

The evidence of a run is another thing: `service/reports/evidence.py`.
"""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from service.api.http.call import Call, Download
from service.api.http.paging import PageQuery, cut
from service.api.http.problems import TooLarge, Unsupported
from service.api.http.schema import Body, Instant, Int, Out, Page, QueryString
from service.api.http.upload import Upload
from service.cases.week import week_of
from service.clock import day_in_china
from service.duties import duties
from service.errors import FileRefused, Invalid, NotFound
from service.pictures import picture_store, pictures
from service.pictures.model import MOST_OCTETS, SIDES, MadePictures
from service.pictures.picture_process import read_picture
from service.pictures.picture_store import KeptPicture
from service.pictures.pictures import MOST_BOXES, PictureFile, PicturePeriod
from service.storage.postgres import Connection
from service.words.phrase import phrase

JPEG = "image/jpeg"
_OTHER_FORMAT = frozenset({"picture_heic", "picture_format"})
_TOO_LARGE = frozenset({"picture_too_many_pixels"})
PixelPlace = Annotated[Int, Field(ge=0)]
PixelLength = Annotated[Int, Field(ge=1)]


class PictureForm(Body):
    """What is said of a picture."""

    duty_id: UUID | None = Field(
        default=None,
        description="The duty whose report it is for; `taken_in_week` is then of its period."
        " Default: of this week.",
    )


class WaitingQuery(PageQuery):
    """Which pictures."""

    duty_id: UUID | None = Field(default=None, description="Only those that are for it.")


class SideQuery(QueryString):
    """How large."""

    px: Literal["1600", "800"] = Field(
        default="1600",
        description="The longer side at most. After a year every picture is the one of 320.",
    )


class MaskBody(Body):
    """What nobody is to see any more."""

    boxes: Annotated[
        list[tuple[PixelPlace, PixelPlace, PixelLength, PixelLength]],
        Field(min_length=1, max_length=MOST_BOXES),
    ] = Field(
        description="Each [x, y, width, height] in pixels of the picture of 1,600, from its upper"
        " left corner."
    )


class SeenPictureOut(Out):
    """A picture of an earlier report that is like this one."""

    id: UUID
    department_id: UUID
    department: str
    duty_id: UUID
    period: str
    reported_at: Instant
    same: bool = Field(description="It was the same file.")
    bits: int = Field(description="In how many of 64 bits what they look like differs; 0: in none.")


class PictureOut(Out):
    """A picture, without its pixels. They are at `/evidence/{id}/jpeg` and `…/thumbnail`."""

    BY_THE_CLOCK = frozenset({"seen_before"})

    id: UUID
    department_id: UUID
    department: str
    duty_id: UUID | None
    period: str | None
    uploaded_by: UUID
    uploaded_at: Instant
    reported_at: Instant | None = Field(description="When it was handed in; null: not yet.")
    width: int
    height: int
    octets: int
    sha256: str = Field(description="Of the JPEG of 1,600.")
    taken_in_week: bool | None = Field(
        description="Whether the file said a day of the period; null: it said none."
    )
    masked_at: Instant | None
    whole: bool = Field(description="false: only the picture of 320 is left, after a year.")
    seen_before: list[SeenPictureOut] = Field(
        description="What reports of the last 365 days have that is like it, the latest first."
    )


async def read_file(_: PictureForm, file: Upload) -> MadePictures:
    """The pictures that are made of a file, in a process of its own.

    Raises:
        TooLarge, Unsupported, FileRefused: it has too many octets or pixels, is of another format,
            or cannot be read.
        Unavailable: too many pictures are being read.
    """
    if file.size > MOST_OCTETS:
        raise TooLarge(
            phrase(
                "the picture is larger than {octets:,} octets; make it smaller and send that",
                octets=MOST_OCTETS,
            )
        )
    try:
        return await read_picture([piece async for piece in file.chunks()])
    except FileRefused as error:
        if error.code in _OTHER_FORMAT:
            raise Unsupported(error.message, code=error.code) from error
        if error.code in _TOO_LARGE:
            raise TooLarge(error.message, code=error.code) from error
        raise


async def send_picture(
    call: Call, body: PictureForm, file: Upload, listed: MadePictures
) -> PictureOut:
    """Send a picture for a report: JPEG, PNG or WebP, at most 15 MiB and 50 megapixels.

    A new JPEG is made of its pixels alone; nothing else of the file is kept. Who and what is in it
    that must not be seen is masked before it is handed in.
    """
    period = await _period_of(call, body.duty_id)
    kept = await pictures.keep(
        call.conn,
        call.runtime.keyring,
        call.user,
        PictureFile(file.sha256, listed),
        period,
        call.now,
    )
    call.note("picture", kept.id, octets=kept.octets)
    return await _shown(call, kept)


async def _period_of(call: Call, duty_id: UUID | None) -> PicturePeriod:
    if duty_id is None:
        week = week_of(day_in_china(call.now))
        return PicturePeriod(None, week.monday, week.sunday)
    try:
        duty = await duties.find(call.conn, call.user, duty_id)
    except NotFound as error:
        raise Invalid.at("duty_id", error.message) from error
    if duty.department_id != call.user.department_id:
        raise Invalid.at("duty_id", phrase("another department owes this; name a duty of yours"))
    return PicturePeriod(duty.id, duty.first_on, duty.last_on)


async def list_waiting_pictures(call: Call, query: WaitingQuery) -> Page[PictureOut]:
    """List the pictures of your department that were not handed in yet, the latest first."""
    found = await picture_store.list_waiting(
        call.conn, call.user.department_id, query.duty_id, query.before, query.wanted
    )
    page = cut(Page[KeptPicture], found, query, key=lambda one: one.id)
    items = await shown_pictures(call.conn, page.items, call.now)
    return Page[PictureOut](items=items, next_cursor=page.next_cursor)


async def get_picture(call: Call, picture_id: UUID) -> PictureOut:
    """Show what is known of a picture, and what earlier reports have that is like it."""
    return await _shown(call, await pictures.find(call.conn, call.user, picture_id))


async def get_picture_jpeg(call: Call, picture_id: UUID, query: SideQuery) -> Download:
    """Give out a picture in which faces can be seen. The audit trail says who looked at which."""
    call.note(px=int(query.px))
    return await _jpeg(call, picture_id, int(query.px))


async def get_picture_thumbnail(call: Call, picture_id: UUID) -> Download:
    """Give out the small picture that lists show, at most 320 pixels long."""
    return await _jpeg(call, picture_id, SIDES[-1])


async def _jpeg(call: Call, picture_id: UUID, side: int) -> Download:
    await pictures.find(call.conn, call.user, picture_id)
    jpeg = await pictures.octets_of(call.conn, call.runtime.keyring, picture_id, side)
    return Download(JPEG, f"{picture_id}-{side}.jpg", _whole(jpeg))


async def _whole(octets: bytes) -> AsyncIterator[bytes]:
    yield octets


async def mask_picture(call: Call, picture_id: UUID, body: MaskBody) -> PictureOut:
    """Make parts of a picture unreadable for good, in all sizes: faces, number plates."""
    masked = await pictures.mask(
        call.conn, call.runtime.keyring, call.user, picture_id, body.boxes, call.now
    )
    call.note("picture", picture_id, boxes=len(body.boxes))
    return await _shown(call, masked)


async def delete_picture(call: Call, picture_id: UUID) -> None:
    """Delete a picture that was not handed in."""
    await pictures.delete(call.conn, call.user, picture_id)


async def _shown(call: Call, picture: KeptPicture) -> PictureOut:
    (found,) = await shown_pictures(call.conn, [picture], call.now)
    return found


async def shown_pictures(
    conn: Connection, found: list[KeptPicture], now: datetime
) -> list[PictureOut]:
    """Pictures as they are answered, each with what earlier reports have that is like it."""
    seen: dict[UUID, list[SeenPictureOut]] = {picture.id: [] for picture in found}
    if found:
        for one in await picture_store.list_seen(conn, list(seen), now):
            seen[one.picture_id].append(SeenPictureOut.model_validate(one))
    return [
        PictureOut.model_validate(
            picture._asdict() | {"sha256": picture.sha256.hex(), "seen_before": seen[picture.id]}
        )
        for picture in found
    ]


async def pictures_of_reports(
    conn: Connection, duty_id: UUID, now: datetime
) -> dict[int, list[PictureOut]]:
    """The pictures of all that was handed in for a duty, by the number of the report."""
    found = await picture_store.list_of_reports(conn, duty_id)
    once = list({picture.id: picture for _, picture in found}.values())
    shown = {one.id: one for one in await shown_pictures(conn, once, now)}
    reports: dict[int, list[PictureOut]] = {}
    for no, picture in found:
        reports.setdefault(no, []).append(shown[picture.id])
    return reports
