"""Who is shown single people, and how many numbers one person looks up."""

from uuid import UUID

from service.api.http.call import Call
from service.audience.contacts.contact_store import subscriber_base
from service.errors import Forbidden
from service.privacy import lookups
from service.words.phrase import phrase


async def need_people(call: Call, department_id: UUID | None) -> None:
    """Refuse to show single people of a carrier's subscriber base to anybody else.

    Nothing is said of what the caller does not see, nor of what is not there (None): whoever
    looks it up finds nothing.

    Raises:
        Forbidden: these are another's subscribers; only counts leave them.
    """
    if department_id is None or department_id == call.user.department_id:
        return
    if call.user.sees(department_id) and await subscriber_base(call.conn, department_id):
        raise Forbidden(
            phrase(
                "a carrier's subscribers are shown to nobody outside the carrier; the"
                " counts are in the report"
            ),
            code="subscriber_base",
        )


async def note_lookup(call: Call, phone_hash: bytes, reason: str) -> UUID:
    """Note that the caller looks up a number, where no reason is asked for, as a disclosure.

    Raises:
        TooManyLookups: the caller has looked up as many as one person may in an hour.
    """
    what, most = (phone_hash, call.user.scope), call.runtime.settings.lookups_an_hour
    keyring = call.runtime.keyring
    made = await lookups.note_lookup(call.conn, keyring, call.user, what, call.by(reason), most)
    call.note("disclosures", made)
    return made
