"""Whom a rule means right now, and what one of them would read: counts, and a masked sample."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from service.audience import segment_store
from service.audience.area import AreaTree
from service.audience.number import mask
from service.audience.rosters import day_in_china
from service.audience.segment import parse
from service.audience.segment_areas import RuleAreas
from service.audience.segment_sql import Compiled, compile_rule
from service.audience.segment_store import Counts
from service.audience.store import read_area_tree
from service.crypto import Keyring
from service.messages.template import render, sample_values
from service.storage.postgres import Connection, Record

PUBLICITY = "public_interest"


@dataclass(frozen=True, slots=True)
class Person:
    """One of those whom a rule means, masked."""

    phone: str
    name: str
    area: str
    carrier: str | None


@dataclass(frozen=True, slots=True)
class Preview:
    """What a rule amounts to at the moment."""

    counts: Counts
    sample: list[Person]


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
        SegmentError: the rule cannot be read, or names an unknown area.
    """
    tree = await read_area_tree(conn)
    condition = _compile(rule, tree, now)
    counts = await segment_store.count_people(conn, department_id, condition, message_class, now)
    rows = await segment_store.sample_people(conn, department_id, condition, message_class, now)
    return Preview(counts, [_person(row, keyring, tree) for row in rows])


async def count_target(
    conn: Connection, department_id: UUID, rule: str, message_class: str, now: datetime
) -> int:
    """How many people a text of this class would reach by a rule; raises as `preview_rule`."""
    condition = _compile(rule, await read_area_tree(conn), now)
    counts = await segment_store.count_people(conn, department_id, condition, message_class, now)
    return counts.target


async def check_rule(conn: Connection, rule: str) -> None:
    """Refuse a rule that cannot be read or names an unknown area; raises as `preview_rule`."""
    _compile(rule, await read_area_tree(conn))


def sample_text(text: str) -> str:
    """The text with ordinary values for its variables."""
    return render(text, sample_values(text))


def _compile(rule: str, tree: AreaTree, now: datetime | None = None) -> Compiled:
    return compile_rule(
        parse(rule, max_characters=len(rule)),  # a canonical form may be longer than what was typed
        areas=RuleAreas(tree),
        first_parameter=segment_store.FIRST_RULE_PARAMETER,
        today=day_in_china(now) if now else None,
    )


def _person(row: Record, keyring: Keyring, tree: AreaTree) -> Person:
    cipher, code = row["name_cipher"], row["area_code"]
    name = keyring.decrypt("name", cipher) if cipher else ""
    return Person(
        phone=mask(keyring.decrypt("phone", row["phone_cipher"])),
        name=name[:1] + "*" * (len(name) - 1),
        area=tree.areas[code].name if code else "",
        carrier=row["carrier"],
    )
