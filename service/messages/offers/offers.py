"""Texts for others: who offers an approved version, and who takes it over as a copy.

A copy has the words of the offer to the last octet, behind the taker's own signature, and a pointer
to the offer; the database refuses any other. A changed word makes a version of the department's
own, without a pointer. The two persons of the origin wrote and approved the words; a plan that
sends them has two persons of its own department all the same.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from service.accounts.departments.department import COUNTY, POLICE, bare
from service.accounts.departments.department_store import get_department
from service.accounts.people.model import Right, User
from service.accounts.people.second_person import need_second_person
from service.errors import Conflict, Forbidden, Invalid
from service.messages.lint.lint import of_level
from service.messages.lint.verdict import judge
from service.messages.offers import offer_store as store
from service.messages.offers.offer_store import NewOffer, Offer
from service.messages.offers.withdrawal import check_words_stand
from service.messages.signature import words
from service.messages.signature_store import is_registered
from service.messages.store import (
    NewVersion,
    Template,
    TemplateInfo,
    template_add_version,
    template_insert,
    template_lock,
)
from service.messages.template import check
from service.storage.postgres import Connection
from service.words.phrase import listing, phrase

OFFERERS = frozenset({COUNTY, POLICE})
"""The kinds of department whose texts are for others."""


async def offer_text(
    conn: Connection, actor: User, template_id: UUID, version: int, new: NewOffer, now: datetime
) -> Offer:
    """Offer the latest version of a template, in place of what was offered of it before.

    version: the one that the actor has read.

    Raises:
        NotFound: there is no such template in the actor's scope.
        Forbidden: the actor may not approve, is not of the police or the county, or counts as who
            wrote the text.
        Conflict: there is a newer version, it is not approved, or it is a copy.
        Invalid: there are no such departments, or there is nothing to correct.
    """
    actor.need(Right.APPROVE)
    known = await template_lock(conn, template_id, actor.scope)
    await check_offer(conn, actor, known, version, now)
    await _check_departments(conn, known.department_id, new.department_ids)
    replaces = await store.latest_offer(conn, template_id)
    if new.correction:
        await _check_corrects(conn, replaces, known)
    by = (actor.id, actor.deputy_for)
    made = await store.insert_offer(conn, known.version_id, new, replaces, by, now)
    return await store.get_offer(conn, made, None)


async def check_offer(
    conn: Connection, actor: User, known: Template, version: int, now: datetime
) -> None:
    """Refuse whoever may not offer this version of a template to others.

    Raises:
        Forbidden, Conflict: as for `offer_text`.
    """
    origin = await get_department(conn, known.department_id, None)
    _check_may_be_offered(actor, known, origin.kind, version)
    await need_second_person(
        conn, actor, {known.edited_by: phrase("wrote this text")}, phrase("offer it"), now
    )


def _check_may_be_offered(actor: User, known: Template, origin_kind: str, version: int) -> None:
    if not {actor.department_kind, origin_kind} <= OFFERERS:
        raise Forbidden(
            phrase("only the police and the county offer texts to others"), code="not_for_others"
        )
    if known.no != version:
        raise Conflict(
            phrase(
                "version {version} is the latest; read it, and offer that one", version=known.no
            ),
            code="newer_version",
        )
    if known.taken_from is not None:
        raise Conflict(
            phrase("the words are those of another department, which offers them itself")
        )
    if known.approved_by is None:
        raise Conflict(
            phrase(
                "this version is not approved yet; somebody else than its author approves"
                " it: POST /templates/{{template_id}}/approve"
            ),
            code="template_not_approved",
        )


async def _check_departments(
    conn: Connection, origin_id: UUID, department_ids: Sequence[UUID]
) -> None:
    problem = ""
    if origin_id in department_ids:
        problem = phrase("a text is offered to others, not to the department whose it is")
    elif unknown := await store.unknown_departments(conn, department_ids):
        problem = phrase("there is no department {departments}", departments=listing(unknown))
    if problem:
        raise Invalid(problem, fields={"department_ids": problem})


async def _check_corrects(conn: Connection, replaces: UUID | None, known: Template) -> None:
    before = None if replaces is None else await store.get_offer(conn, replaces, None)
    if before is None or before.template_version_id == known.version_id:
        raise Invalid.at(
            "correction",
            phrase(
                "no other version of the text was offered before, so there is nothing to correct"
            ),
        )


async def take_over(
    conn: Connection,
    actor: User,
    offer_id: UUID,
    name: str | None,
    signature: str | None,
    now: datetime,
) -> Template:
    """Make a copy of an offer for the actor's department: a new template, or a new version of its
    copy of an earlier one. A text that lint blocks is kept, but nothing can send it.

    name: of the template; None: as it is called where it comes from. signature: one of the
    department's own; None: the one that its texts begin with.

    Raises:
        NotFound: nothing of this id is offered to the department.
        Conflict: the text is its own, has been taken over before, or there is a newer offer.
        TextWithdrawn: it was withdrawn.
        Invalid: the department does not have this signature, or has none.
    """
    actor.need(Right.WRITE)
    whose = actor.department_id
    offer = await store.get_offer(conn, offer_id, whose, lock=True)
    await check_taking(conn, actor, offer)
    text = copied(offer, await _own_signature(conn, whose, signature))
    check(text)
    found = await judge(conn, whose, text, offer.message_class)
    version = NewVersion(text, found, actor.id, offer.id)
    return await _keep(conn, offer, whose, version, name or offer.name, now)


async def check_taking(conn: Connection, actor: User, offer: Offer, *, lock: bool = True) -> None:
    """Refuse whoever may not take an offer over; whether they have done so is not asked.

    lock: as for `check_words_stand`.

    Raises:
        Conflict, TextWithdrawn: as for `take_over`.
    """
    if offer.department_id == actor.department_id:
        raise Conflict(phrase("the text is your own department's"))
    await check_words_stand(conn, [offer.template_version_id], lock=lock)
    if offer.replaced_by is not None:
        raise Conflict(
            phrase(
                "there is a newer offer of this text: take over {replaced_by}",
                replaced_by=offer.replaced_by,
            ),
            code="newer_version",
        )


async def _keep(
    conn: Connection, offer: Offer, whose: UUID, version: NewVersion, name: str, now: datetime
) -> Template:
    """Add a copy to the department's copy of an earlier offer, or make a template of it."""
    template_id = await store.copy_of(conn, offer.template_id, whose)
    if template_id is None:
        info = TemplateInfo(name, offer.message_class, offer.topic, offer.language)
        return await template_insert(conn, whose, info, version, now)
    known = await template_lock(conn, template_id, whose)
    if known.taken_from == offer.id and known.text == version.text:
        raise Conflict(
            phrase(
                "you have taken it over before: template {template_id}", template_id=template_id
            ),
            code="taken_already",
        )
    return await template_add_version(conn, template_id, version, now)


def copied(offer: Offer, signature: str) -> str:
    """The text of a copy: the words of the offer behind this signature."""
    return f"【{signature}】{words(offer.text)}"


async def _own_signature(conn: Connection, department_id: UUID, wanted: str | None) -> str:
    if wanted is None:
        signature = (await get_department(conn, department_id, None)).signed
        problem = phrase("your department has no signature yet; name one that is registered for it")
    else:
        signature = bare(wanted)
        problem = phrase("your department has no such signature")
    if not signature or not await is_registered(conn, department_id, signature):
        raise Invalid(problem, fields={"signature": problem})
    return signature


def is_sent_directly(copy: Template, offer: Offer) -> bool:
    """Whether direct sends of an unchanged copy need no approval of its own department: the offer
    says so, and lint finds nothing in the taker's name that the origin's approver has not read.
    """
    read = {finding["rule"] for finding in of_level(offer.read, "review")}
    to_read = {finding["rule"] for finding in of_level(copy.lint, "review")}
    return offer.direct and not of_level(copy.lint, "block") and to_read <= read


async def needs_no_approval(conn: Connection, template: Template) -> bool:
    """Whether a template may be sent directly, as it was approved or as `is_sent_directly`."""
    if template.approved_by is not None:
        return True
    if template.taken_from is None:
        return False
    return is_sent_directly(template, await store.get_offer(conn, template.taken_from, None))


def still_taken(known: Template, text: str) -> UUID | None:
    """The offer that a new text of a template is an unchanged copy of: other words lose it."""
    return known.taken_from if words(text) == words(known.text) else None
