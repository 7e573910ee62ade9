"""What drafts need that are made of figures: the group of people whom a rule means."""

from uuid import UUID

from service.api.audience import segments
from service.api.audience.segments import SegmentBody
from service.api.http.call import Call
from service.audience.segments import segment_store

LONGEST_NAME = 60
"""Characters of the name of a draft or a group that is made of figures."""


async def segment_of(call: Call, rule: str, name: str) -> UUID:
    """The department's group of this rule; a new one of this name if it has none."""
    department_id = call.user.department_id
    known = await segment_store.find_by_rule(call.conn, department_id, rule)
    if known is not None:
        return known
    taken = {one.name for one in await segment_store.list_saved_rules(call.conn, department_id)}
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name} {number}"
    return (await segments.create_segment(call, SegmentBody(name=free, rule=rule))).id
