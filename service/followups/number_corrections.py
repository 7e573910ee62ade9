"""New numbers that people give at the door: proposed with a result, confirmed by somebody else.

Whoever visits adds nobody to a list. A number stands with the try that says it, encrypted, and
nothing is sent to it. Somebody of the department who may edit contacts, and was not at the door,
confirms it: then the new number has entries of its own, and the old one is off the department's
lists. What the old number was written to for stays the ground: an entry rests on the same basis,
with the same evidence, and ends on the same day.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final, NamedTuple
from uuid import UUID

from service.accounts.people.model import By, User
from service.accounts.people.second_person import need_second_person
from service.audience.contacts import contact_store
from service.audience.contacts.contact import Contact
from service.audience.imports.model import ImportRequest
from service.audience.numbers.number import REASONS, parse_phone
from service.audience.numbers.prefix import national
from service.audience.rosters import roster_store
from service.audience.rosters.rosters import claim_contacts, put_members
from service.audience.vocabulary.consent import CONSENT, Evidence
from service.clock import day_in_china
from service.crypto import Keyring
from service.errors import Conflict, Forbidden, Invalid, NotFound
from service.followups import number_correction_store as store
from service.followups.followups import NOTE
from service.followups.number_correction_store import (
    CorrectionState,
    HeldEntry,
    LockedCorrection,
    NewCorrection,
)
from service.storage.locks import share_erasures
from service.storage.postgres import Connection
from service.words.phrase import phrase

ROSTERS: Final[Mapping[str, str]] = {
    "duty": "走访更正",
    "contract_hr": "走访更正（合同）",
    "consent": "走访更正（同意）",
    "emergency": "走访更正（应急）",
}
"""The lists that confirmed numbers are on, by the basis on which the old number was written to."""


async def propose(
    conn: Connection, keyring: Keyring, new: tuple[UUID, int], department_id: UUID, phone: str
) -> UUID | None:
    """Write down a new number with the try that says it; None: it is the one that is on file, or
    none is said.

    new: the visit and the number of the try. phone: E.164, or "". The follow-up must be locked.
    """
    visit_id, try_no = new
    if not phone:
        return None
    await share_erasures(conn)  # an erasure of this number waits, and finds it
    phone_hash = keyring.phone_index(phone)
    if phone_hash == await store.phone_of_visit(conn, visit_id):
        return None
    cipher = keyring.encrypt("phone", phone)
    made = NewCorrection(visit_id, try_no, department_id, phone_hash, cipher)
    return await store.insert_correction(conn, made)


async def is_other_number(
    conn: Connection, keyring: Keyring, said: tuple[UUID, int], phone: str
) -> bool:
    """Whether a try that is sent again says another number than it did, as far as that is known."""
    found = await store.find_of_try(conn, *said)
    phone_hash = keyring.phone_index(phone) if phone else None
    if found is None:
        return phone_hash not in {None, await store.phone_of_visit(conn, said[0])}
    return found[1] is not None and phone_hash != found[1]


async def of_try(conn: Connection, said: tuple[UUID, int]) -> UUID | None:
    """The new number that a try said; None: it said none."""
    found = await store.find_of_try(conn, *said)
    return None if found is None else found[0]


class Confirmed(NamedTuple):
    """What confirming amounted to. rosters: the lists that the new number is on."""

    rosters: Sequence[str]
    import_ids: Sequence[UUID]


async def confirm(
    conn: Connection, keyring: Keyring, actor: User, correction_id: UUID, by: By
) -> Confirmed:
    """Put the new number on lists with what the old one's said, and take the old one off them.

    The old number is not suppressed: somebody else may have it by now.

    Raises:
        NotFound: there is none that the actor may see.
        Forbidden: it is another department's; or the actor was at the door, wrote it down, or
            counts as somebody who did.
        Conflict: it is decided, the person is on no list in force any more, the number was erased,
            the entry cannot be (`REASONS`), or an import of the department is being written.
    """
    department_id = await _department(conn, actor, correction_id)
    await claim_contacts(conn, department_id)
    await share_erasures(conn)
    found = await _lock(conn, correction_id)
    hands: dict[UUID | None, str] = dict.fromkeys(
        (found.by_id, found.written_by), phrase("were at the door, or wrote the number down")
    )
    await need_second_person(conn, actor, hands, phrase("confirm the number"), by.at)
    phone = await _usable(conn, keyring, found)
    today = day_in_china(by.at)
    old = await contact_store.find_contact(conn, keyring, department_id, found.old_hash)
    entries = [] if old is None else await store.list_entries(conn, keyring, old.id, today)
    if old is None or not entries:
        raise Conflict(
            phrase(
                "this person is on no list in force of the department any more, so there is nothing"
                " to correct; drop the number"
            ),
            code="not_on_lists",
        )
    made = await _put(conn, keyring, (actor, found, phone), old, entries, by)
    await _keep_tags(conn, keyring, found, old, entries, by)
    await contact_store.remove_contacts(conn, [old.id])
    await store.decide(
        conn, found.id, CorrectionState.CONFIRMED, actor.id, by.at, import_ids=made.import_ids
    )
    await store.supersede(conn, found, by.at)
    return made


async def drop(
    conn: Connection, keyring: Keyring, actor: User, correction_id: UUID, by: By
) -> None:
    """Leave the lists as they are; `by.reason` says why, and is kept encrypted.

    Raises:
        NotFound, Forbidden, Conflict: as `confirm`.
    """
    await _department(conn, actor, correction_id)
    found = await _lock(conn, correction_id)
    reason = keyring.encrypt(NOTE, by.reason)
    await store.decide(
        conn, found.id, CorrectionState.DROPPED, actor.id, by.at, reason_cipher=reason
    )


async def _department(conn: Connection, actor: User, correction_id: UUID) -> UUID:
    """The department that decides on a correction: the actor's."""
    department_id = await store.department_of(conn, correction_id)
    if department_id is None or not actor.sees(department_id):
        raise _none(correction_id)
    if department_id != actor.department_id:
        raise Forbidden(phrase("only the department on whose lists it would be decides on it"))
    return department_id


async def _lock(conn: Connection, correction_id: UUID) -> LockedCorrection:
    found = await store.lock_correction(conn, correction_id)
    if found is None:
        raise _none(correction_id)
    if found.state is not CorrectionState.PROPOSED:
        raise Conflict(
            phrase("this number waits for nobody any more; it was decided on, or forgotten"),
            code="decided_already",
        )
    return found


def _none(correction_id: UUID) -> NotFound:
    return NotFound(phrase("there is no new number {correction_id}", correction_id=correction_id))


async def _usable(conn: Connection, keyring: Keyring, found: LockedCorrection) -> str:
    """The new number, unless whoever has it asked to be erased."""
    if found.phone_hash is None or found.phone_cipher is None:
        raise LookupError("a proposal has its number")  # a CHECK says so
    erased = await store.erased_on(conn, found.department_id, found.phone_hash)
    if erased is not None:
        raise Conflict(
            phrase(
                "whoever has this number was erased on {day}: drop it. If they want texts again,"
                " put them on a list by hand",
                day=day_in_china(erased).isoformat(),
            ),
            code="erased_number",
        )
    return parse_phone(keyring.decrypt("phone", found.phone_cipher))


async def _put(
    conn: Connection,
    keyring: Keyring,
    what: tuple[User, LockedCorrection, str],
    old: Contact,
    entries: Sequence[HeldEntry],
    by: By,
) -> Confirmed:
    """The new number on a list for each basis and evidence that the old one's entries have."""
    actor, found, phone = what
    groups = _groups(entries)
    imports = []
    for (basis, evidence), same in groups.items():
        request = ImportRequest(
            department_id=found.department_id,
            user_id=actor.id,
            roster=ROSTERS[basis],
            file_name=f"走访 {found.on_day.isoformat()} {found.visitor} {found.visit_id}",
            basis=basis,
            expires_on=await _last_day(conn, found.department_id, basis, same),
            evidence=evidence,
        )
        rows = [_row(phone, old, entry) for entry in same]
        made = await put_members(conn, keyring, request, rows, by.at)
        _check_taken(made.report["rejected"])
        imports.append(made.import_id)
    return Confirmed([ROSTERS[basis] for basis in dict.fromkeys(b for b, _ in groups)], imports)


def _groups(
    entries: Sequence[HeldEntry],
) -> dict[tuple[str, Evidence], list[HeldEntry]]:
    """The entries by what they rest on.

    Raises:
        Conflict: one rests on a consent that nothing shows.
    """
    groups: dict[tuple[str, Evidence], list[HeldEntry]] = {}
    for entry in entries:
        evidence = Evidence(
            entry.evidence,
            entry.evidence_on,
            entry.evidence_by,
            entry.evidence_how,
            entry.evidence_form,
        )
        if entry.basis == CONSENT and not evidence.reference:
            raise Conflict(
                phrase(
                    "nothing shows that this person consented: say it of the list that they are on"
                    " first, by PATCH /rosters/{{name}}"
                ),
                code="consent_not_shown",
            )
        groups.setdefault((entry.basis, evidence), []).append(entry)
    return groups


async def _last_day(
    conn: Connection, department_id: UUID, basis: str, entries: Sequence[HeldEntry]
) -> date:
    """The last day of the list: never earlier than it was; each entry has its own.

    Raises:
        Conflict: a list of this name rests on something else.
    """
    last = max(entry.last_day for entry in entries)
    known = await roster_store.get_roster(conn, department_id, ROSTERS[basis])
    if known is None:
        return last
    if known.basis != basis:
        raise Conflict(
            phrase(
                "the list {roster} rests on another basis than it should; let it rest on {basis}"
                " first (PATCH /rosters/{{name}})",
                roster=ROSTERS[basis],
                basis=basis,
            ),
            code="list_differs",
        )
    return max(last, known.expires_on)


def _row(phone: str, old: Contact, entry: HeldEntry) -> dict[str, str]:
    """What the old number's entry says, as a row of a file about the new number; what is known of
    the person, perhaps corrected by hand, goes before what the entry says. An old number that
    stood for the WeChat ID is not kept.
    """
    person = {
        "name": old.name,
        "gender": old.gender,
        "age_band": old.age_band,
        "area_code": old.area_code,
    }
    known = {column: value for column, value in person.items() if value}
    if entry.said["wechat"] == national(old.phone):
        known["wechat"] = ""
    return entry.said | known | {"phone": phone, "valid_until": entry.last_day.isoformat()}


def _check_taken(rejected: Mapping[str, int]) -> None:
    for code in rejected:
        problem = REASONS.get(code, phrase("the row cannot be taken"))
        raise Invalid(
            phrase("the number cannot be put on a list: {problem}", problem=problem), code=code
        )


async def _keep_tags(
    conn: Connection,
    keyring: Keyring,
    found: LockedCorrection,
    old: Contact,
    entries: Sequence[HeldEntry],
    by: By,
) -> None:
    """The tags that the department gave the person by hand; those of lists are in the entries."""
    said = {tag for entry in entries for tag in entry.said["tags"].split(";")}
    tags = [tag for tag in old.tags if tag not in said]
    if not tags or found.phone_hash is None:
        return
    new = await contact_store.find_contact(conn, keyring, found.department_id, found.phone_hash)
    if new is not None:
        await contact_store.add_tags(conn, new.id, tags, by.at)
