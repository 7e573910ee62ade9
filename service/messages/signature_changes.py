"""Signatures of departments: one administrator of the county proposes, another confirms.

A reader takes the name in 【】 for who has written. Whoever could register one alone could give a
scam the face of a bank or the police. So a signature takes two persons, is written in plain
characters, looks like nobody else's, and has a name of an authority (`protected_names` of the
county's policy) for such an authority alone. What is registered already stays.
"""

from datetime import datetime
from uuid import UUID

from service.accounts.departments import department_store
from service.accounts.departments.department import Department, bare
from service.accounts.departments.department_store import Registered
from service.accounts.departments.similar_names import check_plain, look
from service.accounts.manage import need_the_county
from service.accounts.people.model import User
from service.accounts.people.proposals import need_pending
from service.accounts.people.second_person import need_second_person
from service.errors import Conflict, Invalid
from service.messages import signature_store as store
from service.messages.lint.lint_form import others_names
from service.messages.lint.lint_store import policy_get, sender_get
from service.messages.lint.obfuscation import disguises, name_as_seen
from service.messages.signature_store import SignatureProposal
from service.storage.locks import lock_signatures
from service.storage.postgres import Connection
from service.words.phrase import Sentence, phrase


async def propose(
    conn: Connection,
    actor: User,
    department_id: UUID,
    signature: str,
    now: datetime,
    *,
    is_default: bool = False,
) -> SignatureProposal | None:
    """Propose a signature, in place of a proposal of it that waits. None: the department has it.

    is_default: its own texts are to begin with it.

    Raises:
        Forbidden: the actor does not run the county.
        NotFound: there is no such department.
        Invalid: it is not written plainly, or says the name of an authority that this is not.
        Conflict: it is, or looks like, another department's.
    """
    need_the_county(actor, phrase("register signatures"))
    department = await department_store.get_department(conn, department_id, None, lock=True)
    name = bare(signature)
    await lock_signatures(conn)
    if await store.is_registered(conn, department_id, name):
        if is_default:
            await store.make_default(conn, department_id, name)
        return None
    await _check(conn, department, name)
    await store.replace_waiting(conn, department_id, name, now)
    return await store.insert_proposal(
        conn, department_id, name, actor.id, now, is_default=is_default
    )


async def confirm(
    conn: Connection, actor: User, department_id: UUID, proposal_id: UUID, now: datetime
) -> Registered:
    """Register a signature that was proposed, as the second person.

    Raises:
        NotFound: there is no such proposal.
        Forbidden: the actor does not run the county, or counts as who proposed it.
        Conflict: it does not wait (any more); else as `propose`.
    """
    need_the_county(actor, phrase("register signatures"))
    department = await department_store.get_department(conn, department_id, None, lock=True)
    await lock_signatures(conn)
    found = await store.get_proposal(conn, department_id, proposal_id)
    need_pending(found, now)
    await need_second_person(
        conn,
        actor,
        {found.proposed_by: phrase("proposed this signature")},
        phrase("confirm it"),
        now,
    )
    await _check(conn, department, found.signature)
    await store.note_confirmed(conn, found, actor.id, now)
    made = await department_store.register(
        conn,
        "signature",
        found.signature,
        department_id,
        by=found.proposed_by,
        confirmed_by=actor.id,
        now=now,
    )
    if found.is_default:
        await store.make_default(conn, department_id, found.signature)
    return made


async def _check(conn: Connection, department: Department, name: str) -> None:
    """Refuse a signature that is disguised, somebody else's, or an authority's."""
    if not name or "【" in name or "】" in name:
        raise _refusal(phrase("write the name alone, without brackets"))
    check_plain(name, "signature")
    for kind, found in disguises(name):
        said = Sentence(kind.chinese, kind.english)
        raise _refusal(phrase("{kind}: {found}", kind=said, found=found.what))
    await department_store.check_free(conn, name, department.id)
    seen = _seen(name)
    if any(_seen(other) == seen for other in await store.names_of_others(conn, department.id)):
        raise Conflict(
            phrase(
                "the signature is the name of another department, or looks like its name or"
                " signature; take one that nobody takes for another"
            ),
            code="looks_like_another",
        )
    sender = await sender_get(conn, department.id)
    if words := others_names(name, sender, await policy_get(conn)):
        which = "、".join(words)
        raise _refusal(phrase("it says {which}, which is for such authorities alone", which=which))


def _seen(name: str) -> str:
    """What is left of a name for somebody who reads it in passing."""
    return look(name_as_seen(name))


def _refusal(problem: str) -> Invalid:
    return Invalid(
        phrase("the signature is wrong: {problem}", problem=problem), fields={"signature": problem}
    )
