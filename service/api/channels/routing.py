"""Which channel a number takes and why, and the carriers of numbers that their prefix belies.

A number stands in the body of a request, never in its address, and comes back masked; what is
known of it is kept under its keyed hash only.
"""

import asyncio
from typing import Literal
from uuid import UUID

from pydantic import Field

from service.api.audience.people import note_lookup
from service.api.campaigns.campaigns import Channels
from service.api.http.call import Call
from service.api.http.problems import TooLarge
from service.api.http.schema import (
    Body,
    Instant,
    Line,
    Out,
    PlainOut,
    Text,
    TranslatedText,
    plain_of,
)
from service.api.http.upload import Upload
from service.audience.contacts.contact_store import subscriber_base
from service.audience.numbers.number import mask, parse_phone
from service.audience.numbers.prefix import is_synthetic, packaged_prefixes
from service.audience.numbers.prefix_store import current_prefixes, home_of
from service.audience.vocabulary.choices import Carrier
from service.channels.routing import route_store
from service.channels.routing.carrier_list import CarrierList, read_carrier_list
from service.channels.routing.route import RoutableChannel, RoutedNumber, explain
from service.errors import Invalid, NotFound
from service.words.phrase import phrase

LIST_OCTETS = 4 * 1024 * 1024
"""The largest list of carriers: it is read while its request waits."""

MAX_REJECTED = 1_000
_PHONE = Field(description="A number, in any usual form.")


class OverridePhoneBody(Body):
    """A number."""

    phone: Text = _PHONE


class ExplainBody(Body):
    """A number, as one of your department's people, and the channels that a campaign leaves in the
    choice.
    """

    phone: Text = _PHONE
    channels: Channels = "auto"


class OverrideBody(Body):
    """The carrier that serves a number, whatever its prefix says."""

    phone: Text = _PHONE
    carrier: Carrier


class OverrideOut(Out):
    """What is known of a number against its prefix, from whom, and since when."""

    carrier: str
    source: Literal["operator", "import", "learned"] = Field(
        description="Entered, from a list, or proved by a delivery on `channel_id`."
    )
    channel_id: int | None
    set_by: UUID | None
    set_at: Instant


class KnownOut(Out):
    """A number, masked, with what is known of it; null: the prefix decides."""

    phone: str
    override: OverrideOut | None


class CarrierListForm(Body):
    """What is said of a CSV file with the columns 手机号 (phone) and 运营商 (carrier)."""

    encoding: Line | None = Field(default=None, description="Of the file; default: found out.")


class RejectedRowOut(Out):
    """A row of a list that says nothing usable, by its place in the file."""

    row: int
    reason: TranslatedText
    plain: PlainOut = Field(description="The reason in both languages.")


class CarrierListOut(Out):
    """What became of a list of carriers."""

    taken: int
    kept: int = Field(description="Numbers whose carrier somebody had entered, which stays.")
    rejected: int
    rows: list[RejectedRowOut] = Field(description="The first of the rejected rows.")


class LaneOut(Out):
    """A channel, whether it could take the number, and why it does or does not."""

    id: int
    name: str
    eligible: bool
    reason: TranslatedText
    plain: PlainOut = Field(description="The reason in both languages.")


class ExplainOut(KnownOut):
    """Where a number goes: `carrier` counts, from the override, else the list, else the prefix."""

    synthetic: bool
    prefix_carrier: str | None = Field(description="By its block, else by its first digits.")
    home: str | None = Field(description="Where its block was opened, if a table of blocks says.")
    contact_carrier: str | None = Field(description="By your department's own lists.")
    carrier: str | None
    channels: list[LaneOut]
    chosen: int | None = Field(description="The channel that it takes; null: none can.")


async def explain_route(call: Call, body: ExplainBody) -> ExplainOut:
    """Say which channel a number takes, and why each other one does not."""
    phone = parse_phone(body.phone)
    phone_hash = call.runtime.keyring.phone_index(phone)
    await note_lookup(call, phone_hash, "路由查询 / the way of a number")
    channels = await route_store.list_routable_channels(call.conn, call.now)
    chosen = None if body.channels == "auto" else set(body.channels)
    _check(chosen, channels)
    override = await route_store.get_override(call.conn, phone_hash)
    by_list = await route_store.contact_carrier(call.conn, call.user.department_id, phone_hash)
    by_digits = (await current_prefixes(call.conn)).carrier_of(phone)
    carrier = override.carrier if override else by_list or by_digits
    base = await subscriber_base(call.conn, call.user.department_id)
    verdicts, first = explain(channels, RoutedNumber(carrier, is_synthetic(phone)), chosen, base)
    return ExplainOut(
        phone=mask(phone),
        synthetic=is_synthetic(phone),
        prefix_carrier=by_digits,
        home=await home_of(call.conn, phone),
        contact_carrier=by_list,
        override=OverrideOut.model_validate(override) if override else None,
        carrier=carrier,
        channels=[
            LaneOut(
                id=v.channel.id,
                name=v.channel.name,
                eligible=v.eligible,
                reason=v.reason,
                plain=plain_of(v.reason),
            )
            for v in verdicts
        ],
        chosen=first.id if first else None,
    )


def _check(chosen: set[int] | None, channels: list[RoutableChannel]) -> None:
    unknown = sorted((chosen or set()) - {channel.id for channel in channels})
    if unknown:
        problem = phrase(
            "there is no channel {channels}; GET /channels lists them", channels=unknown[0]
        )
        raise Invalid(phrase("channels: {problem}", problem=problem), fields={"channels": problem})


async def look_up_override(call: Call, body: OverridePhoneBody) -> KnownOut:
    """Show what is known of one number against its prefix."""
    phone = parse_phone(body.phone)
    phone_hash = call.runtime.keyring.phone_index(phone)
    await note_lookup(call, phone_hash, "携号转网查询 / the carrier of a number")
    found = await route_store.get_override(call.conn, phone_hash)
    return KnownOut(
        phone=mask(phone), override=OverrideOut.model_validate(found) if found else None
    )


async def set_override(call: Call, body: OverrideBody) -> KnownOut:
    """Enter the carrier of a number; it counts for all departments from the next run on."""
    phone = parse_phone(body.phone)
    made = await route_store.set_override(
        call.conn,
        call.runtime.keyring.phone_index(phone),
        body.carrier,
        call.user.id,
        call.now,
    )
    return KnownOut(phone=mask(phone), override=OverrideOut.model_validate(made))


async def delete_override(call: Call, body: OverridePhoneBody) -> None:
    """Let the prefix of a number decide again."""
    phone_hash = call.runtime.keyring.phone_index(parse_phone(body.phone))
    if not await route_store.delete_override(call.conn, phone_hash):
        raise NotFound(phrase("nothing is known of this number against its prefix"))


async def read_list(body: CarrierListForm, file: Upload) -> CarrierList:
    """The numbers of a file, and their carriers.

    Raises:
        TooLarge, FileRefused: it is larger than is read while a request waits, or cannot be read.
    """
    if file.size > LIST_OCTETS:
        raise TooLarge(
            phrase(
                "the list is larger than {list_octets:,} octets; split it into several",
                list_octets=LIST_OCTETS,
            )
        )
    pieces = [piece async for piece in file.chunks()]
    return await asyncio.to_thread(
        read_carrier_list, lambda: pieces, packaged_prefixes(), encoding=body.encoding
    )


async def import_overrides(
    call: Call,
    body: CarrierListForm,  # noqa: ARG001  # read with the file
    file: Upload,  # noqa: ARG001
    listed: CarrierList,
) -> CarrierListOut:
    """Take a list of numbers and their carriers; what a person entered goes before it."""
    index = call.runtime.keyring.phone_index
    carriers = {index(phone): carrier for phone, carrier in listed.carriers.items()}
    taken = await route_store.import_overrides(call.conn, carriers, call.user.id, call.now)
    return CarrierListOut(
        taken=taken,
        kept=len(carriers) - taken,
        rejected=len(listed.rejected),
        rows=[
            RejectedRowOut(row=row, reason=reason, plain=plain_of(reason))
            for row, reason in listed.rejected[:MAX_REJECTED]
        ],
    )
