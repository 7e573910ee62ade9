"""Whom a rule means right now, and what one of them would read: counts, and a masked sample."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from service.audience.areas.area import AreaTree
from service.audience.areas.area_store import read_area_tree
from service.audience.numbers.number import mask
from service.audience.rosters.rosters import day_in_china
from service.audience.segments import segment_store
from service.audience.segments.segment import parse
from service.audience.segments.segment_areas import RuleAreas
from service.audience.segments.segment_sql import Compiled, check_areas, compile_rule
from service.audience.segments.segment_store import AudienceCounts
from service.audience.segments.segment_uses import WrittenOut, uses_segments, write_out
from service.crypto import Keyring
from service.messages.template import render, sample_values
from service.storage.postgres import Connection, Record

PUBLICITY = "public_interest"


@dataclass(frozen=True, slots=True)
class MaskedPerson:
    """One of those whom a rule means, masked."""

    phone: str
    name: str
    area: str
    carrier: str | None


@dataclass(frozen=True, slots=True)
class Preview:
    """What a rule amounts to at the moment."""

    counts: AudienceCounts
    sample: list[MaskedPerson]


async def preview_rule(
    conn: Connection,
    keyring: Keyring,
    department_id: UUID,
    rule: str,
    now: datetime,
    *,
    message_class: str = PUBLICITY,
) -> Preview:
    """Count whom a text of this class would reach among those of a department's contacts whom a
    rule means, and show a few of them. A rule without a text is counted as for publicity, which
    people may refuse.

    Raises:
        SegmentError: the rule cannot be read, or names an unknown area or segment.
    """
    tree = await read_area_tree(conn)
    written = await read_rule(conn, department_id, rule)
    condition = compiled(written, department_id, tree, now)
    counts = await segment_store.count_people(conn, department_id, condition, message_class, now)
    return await with_sample(conn, keyring, department_id, counts)


async def with_sample(
    conn: Connection, keyring: Keyring, department_id: UUID, counts: AudienceCounts
) -> Preview:
    """Counts with a few of those who were counted."""
    tree = await read_area_tree(conn)
    rows = await segment_store.list_sample(conn, department_id, counts.some)
    return Preview(counts, [_person(row, keyring, tree) for row in rows])


async def count_people(
    conn: Connection, department_id: UUID, rule: WrittenOut, message_class: str, now: datetime
) -> AudienceCounts:
    """How many people a text of this class would reach by a rule.

    Raises:
        SegmentError: it names an unknown area.
    """
    condition = compiled(rule, department_id, await read_area_tree(conn), now)
    return await segment_store.count_people(conn, department_id, condition, message_class, now)


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


def compiled(rule: WrittenOut, department_id: UUID, tree: AreaTree, now: datetime) -> Compiled:
    """A rule as SQL on a department's people; raises as `count_people`."""
    return compile_rule(
        rule.rule,
        areas=RuleAreas(tree),
        department_id=department_id,
        today=day_in_china(now),
        first_parameter=segment_store.FIRST_RULE_PARAMETER,
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
