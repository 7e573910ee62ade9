"""The form of a hand-over of a post on paper."""

from service.audience.vocabulary.roles import ROLE_TITLES, ROLES_IN_ENGLISH
from service.documents.document import Column, Document, Paragraph, Table
from service.relays.groups.group_documents import SIGNATURE_LINE
from service.relays.posts.post import PostHolder
from service.words.phrase import phrase, translated


def post_form(
    post: tuple[str, str],
    roster: str,
    old: PostHolder,
    new: PostHolder,
    departments: list[str],
    language: str,
) -> Document:
    """The form: old and new person in full, day, reason, who was told, two lines to sign on.

    post: its role and unit. departments: the department whose list it is, then those whose liaison
    or leader in charge the hand-over made the new person.
    """

    def say(text: object) -> str:
        return translated(text, language)

    role, unit = post
    title = (ROLE_TITLES if language == "zh" else ROLES_IN_ENGLISH)[role]
    facts: list[tuple[str, str]] = [
        (say(phrase("Department")), departments[0]),
        (say(phrase("List")), roster),
        (say(phrase("Post")), title),
        (say(phrase("Unit")), unit),
        (say(phrase("Handed over by")), old.name or ""),
        (say(phrase("Taken over by")), new.name or ""),
        (say(phrase("From which day on")), new.effective_on.isoformat()),
        (say(phrase("Reason")), new.reason),
        (say(phrase("Who was told")), new.told),
        (say(phrase("Answers now for")), "、".join(departments[1:])),
    ]
    columns = [Column(say(phrase("Item"))), Column(say(phrase("Content")), places=40)]
    blocks: list[Table | Paragraph] = [
        Table(say(phrase("What is handed over")), columns, [list(fact) for fact in facts]),
        Paragraph(f"{say(phrase('Handed over by (signature)'))}: {SIGNATURE_LINE}"),
        Paragraph(f"{say(phrase('Taken over by (signature)'))}: {SIGNATURE_LINE}"),
    ]
    heading = say(phrase("Hand-over of a post"))
    return Document("post_hand_over", heading, f"{unit} {title}", language, blocks, at=new.since)
