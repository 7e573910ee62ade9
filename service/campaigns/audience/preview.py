"""Whom a rule means right now, and what one of them would read: counts, and a masked sample."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from uuid import UUID

from service.audience.areas.area import AreaTree
from service.audience.areas.area_store import read_area_tree
from service.audience.numbers.number import mask
from service.audience.segments import segment_store
from service.audience.segments.facts_store import facts_may_be_read
from service.audience.segments.segment import parse
from service.audience.segments.segment_areas import RuleAreas
from service.audience.segments.segment_sql import Compiled, check_areas, compile_rule
from service.audience.segments.segment_store import AudienceCounts
from service.audience.segments.segment_uses import WrittenOut, uses_segments, write_out
from service.campaigns.audience import exclusion_store
from service.campaigns.audience.audience_source import by_rule
from service.campaigns.audience.available_channels import available_routes, sender_of
from service.campaigns.audience.exclusion_store import AFTER_STOPS, CapTerms, ExclusionTerms
from service.campaigns.calendar.county_store import load_county
from service.campaigns.calendar.schedule import Schedule, validity_end
from service.channels.routing.route_store import list_routable_channels
from service.clock import day_in_china
from service.crypto import Keyring
from service.ledger.message_class import PUBLICITY
from service.ledger.reasons import Reason
from service.messages.template import render, sample_values
from service.storage.postgres import Connection, Record


@dataclass(frozen=True, slots=True)
class MaskedPerson:
    """One of those whom a rule means, masked."""

    phone: str
    name: str
    area: str
    carrier: str | None


@dataclass(frozen=True, slots=True)
class Preview:
    """What a rule amounts to at the moment. not_known: reasons that may leave out more people."""

    counts: AudienceCounts
    sample: list[MaskedPerson]
    not_known: tuple[str, ...] = ()


async def preview_rule(
    conn: Connection,
    keyring: Keyring,
    department_id: UUID,
    rule: str,
    now: datetime,
    *,
    message_class: str | None = None,
    trial: bool = False,
) -> Preview:
    """Count whom a text would reach now among those of a department's contacts whom a rule means,
    and who would be left out, as far as that is known without a campaign; and show a few of them.

    message_class: of the text; then a plan is foreseen that says nothing else, the caps count, and
    the department may not be allowed such texts. None: it is not known, and is counted as
    publicity, which people may refuse. trial: it would go to guests alone.

    Raises:
        SegmentError: the rule cannot be read, or names an unknown area or segment.
    """
    tree = await read_area_tree(conn)
    written = await read_rule(conn, department_id, rule)
    terms = await foreseen_terms(conn, department_id, rule, now, message_class, trial=trial)
    condition = await compile_to_count(conn, department_id, written, tree, day_in_china(now))
    counts = await exclusion_store.count_people(conn, terms, by_rule(condition))
    found = await with_sample(conn, keyring, department_id, counts)
    return replace(found, not_known=_not_known(terms, message_class))


async def foreseen_terms(
    conn: Connection,
    department_id: UUID,
    rule: str,
    now: datetime,
    message_class: str | None,
    *,
    trial: bool = False,
    plan_of: UUID | None = None,
) -> ExclusionTerms:
    """What is known of a text to those whom a rule means, before there is a campaign.

    plan_of: the department of the joint plan whose leg it would be; else as for `preview_rule`.
    """
    sender = await sender_of(conn, department_id, plan_of)
    channels = await list_routable_channels(conn, now)
    terms = ExclusionTerms(
        department_id=department_id,
        message_class=message_class or PUBLICITY,
        at=now,
        # Where no channel is set up yet, nobody can tell which there will be.
        routes=available_routes(sender, channels, None).routes if channels else None,
        trial=trial,
    )
    if message_class is None:
        return terms
    plan, county = Schedule(), await load_county(conn)
    hours = plan.terms(message_class, rule)
    caps = CapTerms(
        text=None,
        over_cap="defer",
        valid_until=validity_end(plan, hours, county, now),
        leaves_at=county.next_opening(now, hours),
    )
    barred = None if message_class in sender.permits.classes else Reason.CLASS_NOT_ALLOWED
    return replace(terms, barred=barred, caps=caps)


_BY_CHANNEL = {Reason.NO_ROUTE, Reason.SYNTHETIC_RANGE, Reason.NOT_SYNTHETIC}

_MORE = (
    *(Reason.CLASS_NOT_ALLOWED, Reason.SIGNATURE_OF_ANOTHER),
    *(*AFTER_STOPS, Reason.SAME_TEXT, Reason.CAPPED),
)
"""The reasons that do not lie in the person alone, in the order of the rule."""


def _not_known(terms: ExclusionTerms, message_class: str | None) -> tuple[str, ...]:
    """The reasons that a rule and a class alone do not tell, in the order of the rule."""
    known = set[Reason]()
    if message_class is not None:
        known |= {Reason.CLASS_NOT_ALLOWED, Reason.CAPPED}
    if terms.routes is not None:
        known |= _BY_CHANNEL
    return tuple(reason for reason in _MORE if reason not in known)


async def with_sample(
    conn: Connection, keyring: Keyring, department_id: UUID, counts: AudienceCounts
) -> Preview:
    """The counts, with a few of those who were counted."""
    tree = await read_area_tree(conn)
    rows = await segment_store.list_sample(conn, department_id, counts.some)
    return Preview(counts, [_person(row, keyring, tree) for row in rows])


async def read_rule(
    conn: Connection,
    department_id: UUID,
    rule: str,
    *,
    name: str | None = None,
    segment_id: UUID | None = None,
) -> WrittenOut:
    """A rule with the segments of the department that it uses written out.

    Args:
        conn: where the department's segments are.
        department_id: whose segments its references mean.
        rule: as a person wrote it.
        name: under which it is, or is to be, saved; it must not use itself.
        segment_id: the segment that it is, or is to be, the rule of.

    Raises:
        SegmentError: it cannot be read, or uses what there is not, in a circle or too much of it.
    """
    parsed = parse(rule, max_characters=len(rule))  # a frozen rule may be longer than a typed one
    if not uses_segments(parsed):
        return write_out(parsed, ())
    saved = await segment_store.list_saved_rules(conn, department_id, segment_id)
    return write_out(parsed, saved, name=name)


async def check_rule(conn: Connection, rule: WrittenOut) -> None:
    """Refuse a rule that names an unknown area.

    Raises:
        SegmentError: says where.
    """
    check_areas(rule.rule, RuleAreas(await read_area_tree(conn)))


def sample_text(text: str) -> str:
    """The text with ordinary values for its variables."""
    return render(text, sample_values(text))


async def compile_to_count(
    conn: Connection,
    department_id: UUID,
    rule: WrittenOut,
    tree: AreaTree,
    day: date,
    fields: Mapping[str, int] | None = None,
) -> Compiled:
    """A rule as SQL on a department's people on a day in China, to count whom it means: by facts
    of people where they may be read. fields: as for `compile_rule`; then people are read by the
    entries of lists, since facts do not tell what a single entry says.

    Raises:
        SegmentError: it names an unknown area.
    """
    return compile_rule(
        rule.rule,
        areas=RuleAreas(tree),
        department_id=department_id,
        today=day,
        fields=fields,
        of_facts=not fields and await facts_may_be_read(conn, department_id),
    )


def _person(row: Record, keyring: Keyring, tree: AreaTree) -> MaskedPerson:
    cipher, code = row["name_cipher"], row["area_code"]
    name = keyring.decrypt("name", cipher) if cipher else ""
    return MaskedPerson(
        phone=mask(keyring.decrypt("phone", row["phone_cipher"])),
        name=name[:1] + "*" * (len(name) - 1),
        area=tree.areas[code].name if code in tree.areas else "",  # it may have been renumbered
        carrier=row["carrier"],
    )
