"""The county's packs of weekly reports over HTTP: how far each is, and the archive."""

from typing import Literal

from pydantic import Field

from service.accounts.people.model import User
from service.api.http.call import Call, Download
from service.api.http.paging import PageQuery, cut
from service.api.http.schema import Instant, Line, Out, Page, QueryString
from service.cases.week import need_week, week_of
from service.clock import day_in_china
from service.errors import Forbidden
from service.reports.weekly import pack_store, packs
from service.reports.weekly.pack_store import Pack
from service.words.phrase import phrase


class PacksQuery(PageQuery):
    """Of which week."""

    week: Line | None = Field(
        default=None,
        description="All versions of this week, as 2027-W03; default: the last"
        " version of each week.",
    )


class PackQuery(QueryString):
    """Which pack."""

    week: Line | None = Field(default=None, description="As 2027-W03; default: this week.")
    version: int | None = Field(
        default=None, ge=1, le=2**31 - 1, description="Default: the last that is built."
    )


class PackOut(Out):
    """A version of a week's pack, and how far it is."""

    week: str
    version: int
    state: Literal["waiting", "built", "failed"]
    asked_at: Instant
    as_of: Instant | None = Field(description="Of its facts; null: they are not gathered yet.")
    units: int | None
    handed_in: int | None = Field(description="Units that had handed in by then.")
    step: Literal["", "gathering", "documents", "pictures", "signing"] = Field(
        description="What is being done; so many (`done`) of so many (`total`)."
    )
    done: int
    total: int
    problem: str = Field(description="What went wrong; of one that is built, of the county's file.")
    built_at: Instant | None
    octets: int | None
    manifest_sha256: str | None = Field(description="Of manifest.json, which names all files.")
    withdrawn: int = Field(
        description="Files whose octets went since it was built, as withdrawn.json says: a mask was"
        " put on a picture, or pictures were kept for a year."
    )


async def list_packs(call: Call, query: PacksQuery) -> Page[PackOut]:
    """List the packs of weekly reports and how far they are, from the latest week on.

    The first version is built a minute after the last deadline of a week; each report that is
    handed in later makes another one. Only for county offices, with their inspectors.
    """
    _need_sight(call.user)
    if query.week is not None:
        week = need_week(query.week, "week")
        found = await pack_store.versions_of(call.conn, str(week))
        return Page[PackOut](items=[_out(one) for one in found], next_cursor=None)
    listed = await pack_store.latest_packs(call.conn, query.text, query.wanted)
    return cut(Page[PackOut], [_out(one) for one in listed], query, lambda one: one.week)


async def get_pack(call: Call, query: PackQuery) -> Download:
    """Download a pack: the report of all units as docx and xlsx, the facts, and a signed manifest.

    `python verify_evidence.py ARCHIVE KEY` checks it without this service; the key is that of
    `GET /evidence-key`.
    """
    _need_sight(call.user)
    week = week_of(day_in_china(call.now))
    if query.week is not None:
        week = need_week(query.week, "week")
    found = await packs.find_built(call.conn, str(week), query.version)
    name = f"pack-{found.week}-v{found.version}.zip"
    pieces = packs.archive_of(call.conn, call.runtime.keyring, found)
    return Download("application/zip", name, pieces)


def _need_sight(user: User) -> None:
    if not packs.may_open(user):
        raise Forbidden(phrase("the pack of all units is for county offices"))


def _out(pack: Pack) -> PackOut:
    digest = pack.manifest_sha256
    return PackOut.model_validate(
        pack._asdict() | {"manifest_sha256": None if digest is None else digest.hex()}
    )
