"""How many people each leg of a joint plan would reach, before there is a plan."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from service.accounts.departments.name_store import department_names
from service.audience.areas.area import AreaTree
from service.audience.areas.area_store import read_area_tree
from service.audience.segments.segment import parse
from service.audience.segments.segment_uses import write_out
from service.campaigns.audience.audience_source import by_rule
from service.campaigns.audience.exclusion_store import count_people
from service.campaigns.audience.preview import compile_to_count, foreseen_terms
from service.campaigns.core.legs import LegAsk, leg_rule
from service.clock import day_in_china
from service.errors import Invalid
from service.storage.postgres import Connection
from service.words.phrase import listing, phrase


async def count_legs(
    conn: Connection,
    plan_of: UUID,
    legs: Sequence[LegAsk],
    message_class: str | None,
    now: datetime,
) -> list[int]:
    """How many people each of these legs would reach now, with what is known without a text.

    plan_of: the department whose joint plan it would be. message_class: as for `preview_rule`.

    Raises:
        NotFound: there is no such department.
        Invalid: a leg names an unknown area.
    """
    names = await department_names(conn, [leg.department_id for leg in legs])
    tree = await read_area_tree(conn)
    fields = unknown_areas(legs, tree)
    if fields:
        raise Invalid(phrase("a leg is for areas that there are not"), fields=fields)
    found = []
    for leg in legs:
        rule = leg_rule(names[leg.department_id], leg.areas)
        terms = await foreseen_terms(
            conn, leg.department_id, rule, now, message_class, plan_of=plan_of
        )
        written = write_out(parse(rule), ())
        condition = await compile_to_count(
            conn, leg.department_id, written, tree, day_in_china(now)
        )
        found.append((await count_people(conn, terms, by_rule(condition))).target)
    return found


def unknown_areas(legs: Sequence[LegAsk], tree: AreaTree) -> dict[str, str]:
    """Areas of legs that the tree does not have, by field."""
    return {
        f"legs.{number}.areas": phrase("there is no area {areas}", areas=listing(unknown))
        for number, leg in enumerate(legs)
        if (unknown := [code for code in leg.areas if code not in tree.areas])
    }
