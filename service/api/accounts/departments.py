"""Departments: the tree, what each may use, and its extension numbers."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import Field, StringConstraints

from service.accounts import manage
from service.accounts.departments import department_store
from service.accounts.departments.department import (
    WARN_SHARE,
    Department,
    DepartmentSettings,
    bare,
    default_classes,
)
from service.accounts.manage import need_the_county
from service.api.http.call import Call
from service.api.http.paging import IdList, PageQuery, cut, ids_of
from service.api.http.schema import (
    AreaName,
    Body,
    Day,
    Instant,
    Int,
    Line,
    OptionalLine,
    Out,
    Page,
    QueryString,
)
from service.audience.areas.area_store import area_names
from service.audience.vocabulary.choices import Carrier
from service.channels.config import extension_store
from service.channels.config.extension import check_room
from service.channels.config.store import existing_channels, readable_channels
from service.channels.contract.maintenance import day_of, month_of, year_of
from service.errors import Invalid
from service.ledger.message_class import MessageClass
from service.messages import signature_changes, signature_store
from service.storage.locks import lock_extensions
from service.words.phrase import listing, phrase

DepartmentKind = Literal[
    "county", "police", "education", "finance", "civil_affairs", "market_regulation", "culture",
    "town", "school", "college", "carrier", "department",
]  # fmt: skip
Weight = Annotated[
    Int,
    Field(ge=1, le=100, description="How much it counts beside others when a channel is shared."),
]
DepartmentQuota = Annotated[Int, Field(ge=1, description="Parts, by the calendar in Beijing.")]
Requests = Annotated[Int, Field(ge=1, description="Requests a minute; null: the setting.")]
AreaCode = Annotated[str, StringConstraints(pattern="^[0-9]{12}$")]
ChannelIds = Annotated[list[Annotated[Int, Field(ge=0, le=32767)]], Field(max_length=100)]
MOST_DAYS = 3 * 366
_IDS = "Of these departments; ids with commas between them, at most 100."
_BY_REPLY = (
    "Whether an opt-out word in reply to one of its work notices ends them by itself; else a person"
    " of the department decides."
)
_SIGNATURE = (
    "The signature its texts begin with. It counts once another administrator has confirmed it; see"
    " `GET /departments/{department_id}/signatures`."
)


class DepartmentBody(Body):
    """A department to be made."""

    name: Line
    kind: DepartmentKind = "department"
    signature: OptionalLine = Field(default="", description=_SIGNATURE)
    weight: Weight = 10
    parent_id: UUID | None = None
    area_code: AreaCode | None = Field(
        default=None, description="It sends to people of this area only; null: wherever they are."
    )
    carrier: Carrier | None = Field(
        default=None, description="Whose network one of kind carrier runs."
    )
    leader: OptionalLine = Field(default="", description="The leader who answers for it.")
    classes: Annotated[list[MessageClass], Field(max_length=3)] | None = Field(
        default=None, description="What it may send; null: warnings only for the police."
    )
    channels: ChannelIds | None = Field(default=None, description="null: all.")
    daily_quota: DepartmentQuota | None = None
    monthly_quota: DepartmentQuota | None = None
    yearly_quota: DepartmentQuota | None = None
    requests_per_minute: Requests | None = None
    notices_end_by_reply: bool = Field(default=False, description=_BY_REPLY)


class DepartmentPatch(Body):
    """What is to change of a department; the rest stays."""

    name: Line | None = None
    kind: DepartmentKind | None = None
    signature: OptionalLine | None = Field(default=None, description=_SIGNATURE)
    weight: Weight | None = None
    parent_id: UUID | None = None
    area_code: AreaCode | None = None
    carrier: Carrier | None = None
    leader: OptionalLine | None = None
    classes: Annotated[list[MessageClass], Field(max_length=3)] | None = None
    channels: ChannelIds | None = None
    daily_quota: DepartmentQuota | None = None
    monthly_quota: DepartmentQuota | None = None
    yearly_quota: DepartmentQuota | None = None
    requests_per_minute: Requests | None = None
    notices_end_by_reply: bool | None = None


_MAY_BE_NULL = frozenset(
    {
        "parent_id",
        "area_code",
        "carrier",
        "channels",
        "daily_quota",
        "monthly_quota",
        "yearly_quota",
        "requests_per_minute",
    }
)


class DepartmentOut(Out):
    """A department."""

    id: UUID
    name: str
    kind: str
    signature: str
    weight: int
    parent_id: UUID | None
    area_code: str | None
    area_name: AreaName
    carrier: str | None
    leader: str
    classes: list[str]
    channels: list[int] | None
    daily_quota: int | None
    monthly_quota: int | None
    yearly_quota: int | None
    requests_per_minute: int | None
    notices_end_by_reply: bool = Field(description=_BY_REPLY)
    created_at: Instant
    held_until: Instant | None = Field(description="Its quota is used up until then.")
    held_why: str
    direct_send_limit: int = Field(
        description="How many people each of its keys may send to in 24 hours without a campaign;"
        " see `/direct-limits`."
    )

    @classmethod
    def of(cls, found: Department, areas: Mapping[str, str]) -> Self:
        """What is shown of a department; `areas`: the names of areas by code."""
        settings = {name: getattr(found.settings, name) for name in cls.model_fields
                    if hasattr(found.settings, name)}  # fmt: skip
        return cls(
            id=found.id,
            created_at=found.created_at,
            held_until=found.held_until,
            held_why=found.held_why,
            direct_send_limit=found.direct_send_limit,
            area_name=areas.get(found.settings.area_code or ""),
            **settings,
        )


class DepartmentQuotaOut(Out):
    """How much of a quota is used up; `warning` from four fifths on."""

    quota: int
    used: int
    warning: bool


class CountsQuery(QueryString):
    """Since which day campaigns and runs are counted."""

    since: Day | None = Field(default=None, description="Default: 30 days ago.")


class CountsOut(Out):
    """What a department's work amounts to; no people."""

    department_id: UUID
    since: date
    contacts: int
    rosters: int
    campaigns: dict[str, int]
    runs: int = Field(description="Replies to texts from handsets are none.")
    target: int
    reached: int
    quotas: dict[str, DepartmentQuotaOut]


class ExtensionBody(Body):
    """An extension number to be registered."""

    extension: Annotated[str, StringConstraints(pattern="^[0-9]{1,20}$")]


class RegisteredOut(Out):
    """An extension number, bound to one department for good."""

    value: str
    department_id: UUID
    registered_at: Instant
    ended_at: Instant | None


class DepartmentsQuery(PageQuery):
    """Which departments."""

    words: Line | None = Field(
        default=None, description="A part of the name or the signature, in any case."
    )
    ids: IdList | None = Field(default=None, description=_IDS)


async def list_departments(call: Call, query: DepartmentsQuery) -> Page[DepartmentOut]:
    """List your department and those below it; an inspector and the county see all."""
    found = await department_store.list_departments(
        call.conn,
        call.user.count_scope,
        query.before,
        query.wanted,
        words=query.words or "",
        ids=ids_of(query.ids),
    )
    names = await area_names(call.conn, (item.settings.area_code for item in found))
    return cut(Page[DepartmentOut], [DepartmentOut.of(item, names) for item in found], query)


async def _shown(call: Call, found: Department) -> DepartmentOut:
    return DepartmentOut.of(found, await area_names(call.conn, [found.settings.area_code]))


async def get_department(call: Call, department_id: UUID) -> DepartmentOut:
    """Show a department."""
    return await _shown(call, await _seen(call, department_id))


async def create_department(call: Call, body: DepartmentBody) -> DepartmentOut:
    """Make a department; for administrators of a county."""
    values = body.model_dump()
    if body.classes is None:
        values["classes"] = default_classes(body.kind)
    new = DepartmentSettings(**_tuples(values))
    await _check_channels(call, new)
    made = await manage.create_department(call.conn, call.user, new, call.now)
    return await _shown(call, await _signed(call, made, body.signature))


async def edit_department(call: Call, department_id: UUID, body: DepartmentPatch) -> DepartmentOut:
    """Change a department; for administrators of a county."""
    changes = _tuples(
        {
            name: value
            for name, value in body.model_dump(exclude_unset=True).items()
            if value is not None or name in _MAY_BE_NULL
        }
    )

    def change(settings: DepartmentSettings) -> DepartmentSettings:
        return replace(settings, **changes)

    made = await manage.edit_department(call.conn, call.user, department_id, change, call.now)
    if body.signature is not None:
        made = await _signed(call, made, body.signature)
    await _check_channels(call, made.settings)
    if "channels" in changes:
        await _check_extensions(call, department_id, "channels")
    return await _shown(call, made)


async def _signed(call: Call, made: Department, signature: str) -> Department:
    """The department, whose signature is set, or proposed where it is not registered to it."""
    if bare(signature) == bare(made.settings.signature):
        return made
    if not bare(signature):
        await signature_store.make_default(call.conn, made.id, "")
    else:
        waiting = await signature_changes.propose(
            call.conn, call.user, made.id, signature, call.now, is_default=True
        )
        call.note("departments", made.id, **({"proposal": str(waiting.id)} if waiting else {}))
    return await department_store.get_department(call.conn, made.id, None)


async def get_counts(call: Call, department_id: UUID, query: CountsQuery) -> CountsOut:
    """Count what a department or one below it has done; numbers, no people."""
    found = await _seen(call, department_id)
    today = day_of(call.now)
    since = query.since or today - timedelta(days=30)
    if since < today - timedelta(days=MOST_DAYS):
        problem = phrase("give a day of the last {most_days} days", most_days=MOST_DAYS)
        raise Invalid(phrase("the query is wrong: since"), fields={"since": problem})
    spans = {"day": today, "month": month_of(call.now), "year": year_of(call.now)}
    used = await department_store.used_parts(call.conn, department_id, spans)
    quotas = {
        "day": found.settings.daily_quota,
        "month": found.settings.monthly_quota,
        "year": found.settings.yearly_quota,
    }
    counts = await department_store.read_counts(call.conn, department_id, since)
    return CountsOut(
        department_id=department_id,
        since=since,
        quotas={
            span: DepartmentQuotaOut(
                quota=quota,
                used=used.get(span, 0),
                warning=used.get(span, 0) >= WARN_SHARE * quota,
            )
            for span, quota in quotas.items()
            if quota is not None
        },
        **counts._asdict(),
    )


async def list_extensions(call: Call, department_id: UUID) -> Page[RegisteredOut]:
    """List the extension numbers of a department."""
    await _seen(call, department_id)
    found = await department_store.list_registered(call.conn, "extension", department_id)
    return Page[RegisteredOut](
        items=[RegisteredOut(**item._asdict()) for item in found], next_cursor=None
    )


async def register_extension(call: Call, department_id: UUID, body: ExtensionBody) -> RegisteredOut:
    """Register an extension number to a department; nobody else gets it. For the county."""
    need_the_county(call.user, phrase("register extensions"))
    await _seen(call, department_id)
    made = await department_store.register(
        call.conn, "extension", body.extension, department_id, by=call.user.id, now=call.now
    )
    await _check_extensions(call, department_id, "extension")
    return RegisteredOut(**made._asdict())


async def end_extension(call: Call, department_id: UUID, extension: str) -> None:
    """Give up an extension number of a department; nobody else gets it. For the county."""
    need_the_county(call.user, phrase("give up extensions"))
    await _seen(call, department_id)
    await department_store.end_registration(
        call.conn, "extension", extension, department_id, call.now
    )


async def _check_extensions(call: Call, department_id: UUID, field: str) -> None:
    """Refuse what would not fit behind the number of a channel that the department may use."""
    await lock_extensions(call.conn)
    extensions = await extension_store.extensions_in_use(call.conn, department_id)
    for channel in await readable_channels(call.conn, call.runtime.keyring) if extensions else ():
        check_room(channel.id, channel, extensions, field)


async def _seen(call: Call, department_id: UUID) -> Department:
    return await department_store.get_department(call.conn, department_id, call.user.count_scope)


async def _check_channels(call: Call, new: DepartmentSettings) -> None:
    missing = set(new.channels or ()) - await existing_channels(call.conn)
    if missing:
        raise Invalid.at(
            "channels", phrase("there is no channel {channels}", channels=listing(sorted(missing)))
        )


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    """Lists as what a department keeps: each item once, in order."""
    return {
        name: tuple(sorted(set(value))) if isinstance(value, list) else value
        for name, value in values.items()
    }
