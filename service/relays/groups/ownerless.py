"""Groups whose owner is on no list any more: found each minute, and told to the liaison.

The mark and the text are one transaction, so nobody is told twice, whatever dies in between.
"""

import logging
from collections.abc import Sequence
from uuid import UUID

from service.accounts.people.model import By, User
from service.clock import Clock, day_in_china
from service.crypto import Keyring
from service.errors import Conflict, Invalid
from service.ledger.message_class import NOTICE
from service.messages.offers.offers import needs_no_approval
from service.messages.offers.withdrawal import TextWithdrawn, check_words_stand
from service.messages.store import Template, template_get
from service.relays import texts
from service.relays.groups import ownerless_store
from service.relays.groups.ownerless_store import ChosenGroupText, LeftGroup
from service.storage.postgres import COUNT_SECONDS, Connection, Pool, transaction
from service.words.phrase import phrase

UNIT, GROUP, COUNT = "单位", "群名", "项数"
VARIABLES = (UNIT, GROUP, COUNT)
"""The department, its first group without an owner, and how many there are."""

INSTEAD = {UNIT: "本单位", GROUP: "一个群"}
SAMPLE = {UNIT: "版书镇", GROUP: "新桥小区3幢群", COUNT: "2"}

log = logging.getLogger(__name__)


async def find_ownerless(pool: Pool, keyring: Keyring, clock: Clock) -> set[int]:
    """Mark groups whose owner is on no list any more, and tell the liaison of each department; take
    the mark away where the owner is on a list again. Returns the channels that have work now.
    """
    now = clock.now()
    today = day_in_china(now)
    async with pool.acquire(seconds=COUNT_SECONDS) as read:
        departments = await ownerless_store.departments_to_look_at(read, today)
    channels: set[int] = set()
    for department_id in departments:
        try:
            async with transaction(pool, seconds=COUNT_SECONDS) as conn:
                await ownerless_store.own_again(conn, department_id, today)
                left = await ownerless_store.lock_left(conn, department_id, today)
                if left:
                    channels |= await _mark(conn, keyring, department_id, left, clock)
        except Exception:
            # The other departments must not wait for this one.
            log.exception("groups not looked at", extra={"department_id": str(department_id)})
    return channels


async def _mark(
    conn: Connection,
    keyring: Keyring,
    department_id: UUID,
    left: Sequence[LeftGroup],
    clock: Clock,
) -> set[int]:
    now = clock.now()
    ids = [one.id for one in left]
    chosen = await ownerless_store.chosen_text(conn, department_id)
    liaison = await ownerless_store.liaison_of(conn, department_id)
    template = None if chosen is None else await _sendable(conn, chosen)
    if chosen is None or template is None or liaison is None:
        untold = "no_liaison" if liaison is None else "no_text"
        await ownerless_store.mark(conn, ids, None, untold, now)
        return set()
    values = {
        UNIT: texts.shortened(liaison.department),
        GROUP: texts.shortened(left[0].name),
        COUNT: str(len(left)),
    }
    text = texts.TextOf(department_id, template.version_id, template.text, chosen.set_by)
    to = texts.TextRecipient(liaison.phone_hash, liaison.phone_cipher, values, INSTEAD)
    try:
        sent = await texts.send(conn, keyring, text, [to], now)
    except Conflict as refusal:
        await ownerless_store.mark(conn, ids, None, refusal.code, now)
        return set()
    told = sent.run_id if sent.numbers else None
    untold = "" if told else next(iter(sent.left_out.values()), "no_text")
    await ownerless_store.mark(conn, ids, told, untold, now)
    log.info("groups without an owner", extra={"groups": len(ids), "told": told is not None})
    return set(sent.channels)


async def _sendable(conn: Connection, chosen: ChosenGroupText) -> Template | None:
    """The template as it may be sent now; None: two persons stand for it no more."""
    template = await template_get(conn, chosen.template_id, chosen.department_id)
    if template.info.message_class != NOTICE:
        return None
    if template.taken_from is not None:
        try:
            await check_words_stand(conn, [template.version_id])
        except TextWithdrawn:
            return None
    return template if await needs_no_approval(conn, template) else None


async def choose_text(conn: Connection, actor: User, template_id: UUID | None, by: By) -> None:
    """Choose the own department's text that tells of groups without an owner; None: none.

    Raises:
        NotFound: there is no such template.
        Conflict: nobody has approved its latest version.
        Invalid: it is no service text, or has a variable that is not known here.
    """
    if by.user_id is None:
        raise ValueError("a person chooses a text")
    if template_id is None:
        await ownerless_store.drop_text(conn, actor.department_id)
        return
    template = await template_get(conn, template_id, actor.department_id)
    if template.info.message_class != NOTICE:
        raise Invalid.at("template_id", phrase("take a template of the class service"))
    if not await needs_no_approval(conn, template):
        raise Conflict(
            phrase(
                "the latest version of the template is not approved yet; somebody else"
                " than its author approves it: POST /templates/{{template_id}}/approve"
            ),
            code="template_not_approved",
        )
    texts.check_variables(template.text, VARIABLES, "template_id")
    given = await texts.given_text(conn, actor.department_id, template.text)
    try:
        given.check({name: SAMPLE[name] for name in given.wanted})
    except Invalid as error:
        raise Invalid.at("template_id", error.message) from error
    await ownerless_store.set_text(conn, actor.department_id, template_id, (by.user_id, by.at))
