"""Lists: on what each rests, until when, who is on it, and what uses it."""

from collections.abc import Sequence
from urllib.parse import quote

from service.accounts.people.model import Right
from service.api.audience import contacts, rosters, segments
from service.api.audience.contacts import ContactBody, ContactQuery
from service.api.audience.rosters import RosterOut, RosterPatch
from service.api.audience.segments import PreviewBody, SegmentOut
from service.api.campaigns import campaigns
from service.api.campaigns.campaigns import CampaignQuery
from service.api.http.paging import MAX_LIMIT, PageQuery
from service.audience.segments.segment import Comparison, canonical, comparisons, parse
from service.audience.segments.segment_words import SegmentError, fold
from service.console.asking import Desk
from service.console.forms import body_of
from service.console.people import words
from service.console.people.held_plans import held_since
from service.console.render import Gone, Shown
from service.words.phrase import phrase

LISTS = "/people/lists"
PEOPLE_A_PAGE = 20


def address_of(name: str) -> str:
    """Where a list's page is."""
    return f"{LISTS}/{quote(name, safe='')}"


async def show_lists(desk: Desk) -> Shown:
    """All lists that you see."""
    query = PageQuery(cursor=desk.request.query.get("from"))
    found = await desk.get(rosters.list_rosters, query=query)
    groups = await _groups(desk)
    return Shown(
        "people/lists.html",
        {
            "rosters": found.items,
            "next": found.next_cursor,
            "uses": {one.name: len(_that_use(groups, one.name)) for one in found.items},
            "bases": words.BASES,
            "may_import": desk.may(Right.IMPORT),
        },
    )


async def show_list(desk: Desk) -> Shown:
    """One list of your department."""
    name = desk.path("name")
    roster = await desk.get(rosters.get_roster, name=name)
    on_it = await desk.get(
        contacts.list_contacts,
        query=ContactQuery(roster=name, limit=PEOPLE_A_PAGE, cursor=desk.request.query.get("from")),
    )
    rule = canonical(Comparison("roster", "=", (fold(name),)))
    counted = await desk.get(segments.preview_segment, body=PreviewBody(rule=rule))
    groups = _that_use(await _groups(desk), name)
    return Shown(
        "people/list.html",
        {
            "roster": roster,
            "address": address_of(name),
            "people": on_it.items,
            "next": on_it.next_cursor,
            "towns": words.most(counted.by_area, counted.area_names),
            "carriers": words.most(counted.by_carrier, words.CARRIERS),
            "groups": groups,
            "campaigns": await _campaigns_of(desk, groups),
            "bases": words.BASES,
            "roles": words.ROLES,
            "may_import": desk.may(Right.IMPORT),
            "held": await held_since(
                desk, roster.department_id, roster.latest.at if roster.latest else None
            ),
        },
    )


async def _groups(desk: Desk) -> Sequence[SegmentOut]:
    return (await desk.get(segments.list_segments, query=PageQuery(limit=MAX_LIMIT))).items


def _that_use(groups: Sequence[SegmentOut], name: str) -> list[SegmentOut]:
    """The groups whose rule asks for a list by this name."""
    return [group for group in groups if _asks_for(group.canonical, fold(name))]


def _asks_for(rule: str, folded: str) -> bool:
    try:
        asked = parse(rule, max_characters=len(rule))
    except SegmentError:
        return False
    return any(one.field == "roster" and folded in one.values for one in comparisons(asked))


async def _campaigns_of(desk: Desk, groups: Sequence[SegmentOut]) -> list[tuple[str, str, object]]:
    """Id, name and next fire of the campaigns that go to one of these groups."""
    if not groups or not desk.may(Right.REPORTS):
        return []
    found = await desk.get(campaigns.list_campaigns, query=CampaignQuery(limit=MAX_LIMIT))
    ids = {group.id for group in groups}
    return [
        (str(one.id), one.name, one.next_fire_at) for one in found.items if one.segment_id in ids
    ]


async def show_terms(desk: Desk) -> Shown:
    """The form that confirms a list, with what it rests on."""
    roster = await desk.get(rosters.get_roster, name=desk.path("name"))
    return Shown(
        "people/list_terms.html",
        {
            "roster": roster,
            "address": address_of(roster.name),
            "bases": words.BASES,
            "ways": words.CONSENT_WAYS,
            "seen": desk.version_of(roster),
        },
    )


async def confirm_list(desk: Desk) -> Gone:
    """Say that a list still holds, and on what it rests."""
    name = desk.path("name")
    made: RosterOut = await desk.act(
        rosters.confirm_roster, name=name, body=body_of(RosterPatch, desk.form)
    )
    done = phrase("The list is confirmed until {day}.", day=desk.language.day(made.expires_on))
    return Gone(address_of(name), done)


async def show_new_member(desk: Desk) -> Shown:
    """The form that puts one person on a list."""
    name = desk.path("name")
    return Shown(
        "people/list_member.html",
        {
            "name": name,
            "address": address_of(name),
            "roles": words.ROLES,
            "carriers": words.CARRIERS,
            "genders": words.GENDERS,
        },
    )


async def add_member(desk: Desk) -> Gone:
    """Put one person on a list."""
    name = desk.path("name")
    body = body_of(ContactBody, desk.form, given={"roster": name})
    made = await desk.act(contacts.create_contact, body=body)
    return Gone(address_of(name), phrase("{phone} is on the list.", phone=made.phone))
