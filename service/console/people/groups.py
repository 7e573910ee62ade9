"""Groups: whom a campaign goes to, chosen by ticking; the rule is shown and never typed."""

from uuid import UUID

from service.accounts.people.model import Right
from service.api.audience import segment_terms, segments
from service.api.audience.segment_terms import ComposedOut
from service.api.audience.segments import (
    PreviewBody,
    PreviewOut,
    RuleBody,
    SegmentBody,
    SegmentOut,
    SegmentPatch,
)
from service.api.http.paging import MAX_LIMIT, PageQuery
from service.audience.segments.segment_words import fold
from service.console.asking import Desk
from service.console.carried import carried
from service.console.people import group_form, words
from service.console.people.group_form import Chosen
from service.console.people.ready_groups import READY_GROUPS, ReadyGroup
from service.console.render import Gone, Shown
from service.errors import Invalid
from service.ledger.reasons import words_of
from service.words.phrase import phrase

GROUPS = "/people/groups"
GROUPS_A_PAGE = 20
LONGEST_NAME = 200


async def show_groups(desk: Desk) -> Shown:
    """The saved groups, each in words, and those that a county begins with."""
    query = PageQuery(limit=GROUPS_A_PAGE, cursor=desk.request.query.get("from"))
    found = await desk.get(segments.list_segments, query=query)
    own = [one for one in found.items if one.department_id == desk.user.department_id]
    shown = [
        (one, await desk.get(segments.explain_segment, body=RuleBody(rule=one.rule))) for one in own
    ]
    may_write = desk.may(Right.WRITE)
    return Shown(
        "people/groups.html",
        {
            "groups": shown,
            "next": found.next_cursor,
            "may_write": may_write,
            "offers": may_write and bool(await _offered(desk)),
        },
    )


async def show_ready(desk: Desk) -> Shown:
    """The groups that a county begins with, and how many people each has now."""
    offered = []
    for group in await _offered(desk):
        rule = await desk.get(
            segment_terms.compose_segment, body=group_form.compose_body(group.chosen)
        )
        counted = await desk.get(segments.preview_segment, body=PreviewBody(rule=rule.rule))
        offered.append((group, counted.target))
    return Shown("people/_ready.html", {"offered": offered})


async def _offered(desk: Desk) -> list[ReadyGroup]:
    saved = await desk.get(segments.list_segments, query=PageQuery(limit=MAX_LIMIT))
    names = {fold(one.name) for one in saved.items}
    return [group for group in READY_GROUPS if not names & set(map(fold, group.name))]


async def show_new_group(desk: Desk) -> Shown:
    """The form for a group, perhaps with what was ticked, or with a ready one."""
    ready = next((g for g in READY_GROUPS if g.code == desk.request.query.get("ready")), None)
    chosen: Chosen = group_form.chosen_of_form(desk.form)
    if ready is not None and not desk.form:
        chosen = ready.chosen
    name = desk.language.plain(ready.name) if ready is not None else ""
    return await _form(desk, chosen, name=name)


async def show_group(desk: Desk) -> Shown:
    """A saved group: in words, as it is ticked, and whom it means now."""
    group = await desk.get(segments.get_segment, segment_id=desk.uuid("segment_id"))
    told = await desk.get(segments.explain_segment, body=RuleBody(rule=group.rule))
    chosen = group_form.chosen_of_terms(told.terms) if told.terms is not None else None
    terms = await desk.get(segment_terms.list_terms)
    if chosen is None or not group_form.can_tick(terms, chosen):
        counted = await desk.get(segments.preview_segment, body=PreviewBody(rule=group.rule))
        return Shown(
            "people/group_rule.html",
            {"group": group, "told": told, **_counted(counted), "rule": told.canonical},
        )
    ticked = group_form.chosen_of_form(desk.form) or chosen
    return await _form(desk, ticked, group=group, saved=chosen)


async def _form(
    desk: Desk,
    chosen: Chosen,
    *,
    group: SegmentOut | None = None,
    saved: Chosen | None = None,
    name: str = "",
) -> Shown:
    terms = await desk.get(segment_terms.list_terms)
    is_own = group is None or group.department_id == desk.user.department_id
    return Shown(
        "people/group.html",
        {
            "group": group,
            "action": GROUPS + (f"/{group.id}" if group else "/new"),
            "seen": desk.version_of(group) if group else "",
            "name": group.name if group else name,
            "chosen": chosen,
            "saved": chosen if saved is None else saved,
            "places": group_form.places_of(terms),
            "values": group_form.values_of(terms, chosen),
            "titles": {item.field: item.plain for item in terms.items},
            "may_write": is_own and desk.may(Right.WRITE),
            "left": carried(desk) if group is None else None,
            "offered": await _offered(desk) if group is None and not chosen else [],
            **await _count(desk, chosen),
        },
    )


async def show_count(desk: Desk) -> Shown:
    """What is ticked, in words, how many it means, who is left out, and five of them."""
    return Shown(
        "people/_group_count.html", await _count(desk, group_form.chosen_of_form(desk.form))
    )


async def _count(desk: Desk, chosen: Chosen) -> dict[str, object]:
    if not chosen:
        return {"told": None, "wrong": None, "rule": "", **_counted(None)}
    try:
        told = await desk.get(segment_terms.compose_segment, body=group_form.compose_body(chosen))
        counted = await desk.get(segments.preview_segment, body=PreviewBody(rule=told.rule))
    except Invalid as wrong:
        return {"told": None, "wrong": wrong, "rule": "", **_counted(None)}
    return {"told": told, "wrong": None, "rule": told.rule, **_counted(counted)}


def _counted(counted: PreviewOut | None) -> dict[str, object]:
    excluded = counted.excluded.items() if counted else ()
    return {
        "counted": counted,
        "carriers": words.most(counted.by_carrier, words.CARRIERS) if counted else (),
        "towns": words.most(counted.by_area, counted.area_names) if counted else (),
        "left_out": [(words_of(code), count) for code, count in excluded if count],
        "left_out_all": sum(count for _, count in excluded),
        "called_carriers": words.CARRIERS,
    }


async def save_group(desk: Desk) -> Gone:
    """Save a new group; it is chosen in the plan that somebody has left to make it."""
    left = carried(desk)
    made = await desk.act(
        segments.create_segment,
        body=SegmentBody(name=_name(desk), rule=(await _composed(desk)).rule),
    )
    if left is not None:
        back = left.back({"segment_id": str(made.id)})
        return Gone(back, phrase("The group is saved, and chosen in your plan."))
    return Gone(f"{GROUPS}/{made.id}", phrase("The group is saved."))


async def edit_group(desk: Desk) -> Gone:
    """Change a group."""
    segment_id: UUID = desk.uuid("segment_id")
    patch = SegmentPatch(name=_name(desk), rule=(await _composed(desk)).rule)
    await desk.act(segments.edit_segment, segment_id=segment_id, body=patch)
    done = phrase("The group is changed. What waits for approval with it is submitted again.")
    return Gone(f"{GROUPS}/{segment_id}", done)


def _name(desk: Desk) -> str:
    name = desk.typed("name")
    if not 0 < len(name) <= LONGEST_NAME:
        problem = phrase("give the group a name of at most {most} characters", most=LONGEST_NAME)
        raise Invalid(phrase("the group has no name"), fields={"name": problem})
    return name


async def _composed(desk: Desk) -> ComposedOut:
    body = group_form.compose_body(group_form.chosen_of_form(desk.form))
    return await desk.act(segment_terms.compose_segment, body=body)
