"""The register of groups as a file, and the form of a hand-over on paper."""

from collections.abc import Mapping, Sequence

from service.audience.numbers.number import mask
from service.clock import day_in_china
from service.documents.document import Column, Document, DocumentCell, Paragraph, Table
from service.relays.groups.group import ChatGroup, GroupOwner, UnitKind, display_name
from service.words.phrase import phrase, translated

KIND_WORDS = {
    UnitKind.BUILDING: phrase("Building"),
    UnitKind.VILLAGERS: phrase("Villagers' group"),
    UnitKind.OFFICE: phrase("Office"),
    UnitKind.FIRM: phrase("Firm"),
    UnitKind.CLASS: phrase("Class"),
    UnitKind.OTHER: phrase("Other"),
}
"""What kinds of groups are called."""

SIGNATURE_LINE = "____________________"
"""Where somebody signs."""


def register_document(
    groups: Sequence[ChatGroup], places: Mapping[str, str], day: str, language: str
) -> Document:
    """All active groups with their owners, names masked. places: names of areas by their codes."""

    def say(text: object) -> str:
        return translated(text, language)

    columns = [
        Column(say(phrase("No."))),
        Column(say(phrase("Chat group"))),
        Column(say(phrase("Kind"))),
        Column(say(phrase("Area"))),
        Column(say(phrase("Unit"))),
        Column(say(phrase("People in it")), decimals=0),
        Column(say(phrase("Owner"))),
        Column(say(phrase("Number"))),
        Column(say(phrase("Owner since"))),
        Column(say(phrase("Remark"))),
    ]
    rows: list[list[DocumentCell]] = [
        _row(no, group, places, language) for no, group in enumerate(groups, 1)
    ]
    table = Table(say(phrase("Registered groups")), columns, rows)
    title = say(phrase("Register of groups"))
    return Document("group_register", title, day, language, [table])


def _row(no: int, group: ChatGroup, places: Mapping[str, str], language: str) -> list[DocumentCell]:
    owner = group.owner
    place = places.get(group.area_code or "", "")
    remark = phrase("the owner is on no list any more") if group.ownerless_since else ""
    return [
        str(no),
        group.name,
        translated(KIND_WORDS[group.unit_kind], language),
        place,
        group.unit,
        group.members,
        display_name(owner, place, in_full=False) or "",
        mask(owner.phone) if owner.phone else "",
        day_in_china(owner.since).isoformat(),
        translated(remark, language),
    ]


def hand_over_form(
    group: ChatGroup, old: GroupOwner, new: GroupOwner, place: str, department: str, language: str
) -> Document:
    """The form of a hand-over: old and new owner in full, day, reason, two lines to sign on."""

    def say(text: object) -> str:
        return translated(text, language)

    facts: list[tuple[str, str]] = [
        (say(phrase("Department")), department),
        (say(phrase("Chat group")), group.name),
        (say(phrase("Kind")), say(KIND_WORDS[group.unit_kind])),
        (say(phrase("Area")), place),
        (say(phrase("Unit")), group.unit),
        (say(phrase("Old owner")), display_name(old, place, in_full=True) or ""),
        (say(phrase("New owner")), display_name(new, place, in_full=True) or ""),
        (say(phrase("From which day on")), new.effective_on.isoformat()),
        (say(phrase("Reason")), new.reason),
    ]
    columns = [Column(say(phrase("Item"))), Column(say(phrase("Content")), places=40)]
    blocks: list[Table | Paragraph] = [
        Table(say(phrase("What is handed over")), columns, [list(fact) for fact in facts]),
        Paragraph(say(phrase("The new owner's name in the group is the one above."))),
        Paragraph(f"{say(phrase('Old owner (signature)'))}: {SIGNATURE_LINE}"),
        Paragraph(f"{say(phrase('New owner (signature)'))}: {SIGNATURE_LINE}"),
    ]
    title = say(phrase("Hand-over of a group"))
    return Document("group_hand_over", title, group.name, language, blocks, at=new.since)
