"""One's own phone: said, and proved by a code that is sent there. Tests and notices go to it."""

from service.accounts.people.model import Right
from service.api.accounts import deputies, me
from service.api.accounts.deputies import OwnPhoneBody, PhoneCodeBody
from service.api.accounts.notices import need_concerned
from service.console.asking import Desk
from service.console.forms import body_of
from service.console.render import Gone, Shown
from service.words.phrase import phrase

PHONE = "/account/phone"


async def show_phone(desk: Desk) -> Shown:
    """Which phone it is, the form for its code, and the one for another phone."""
    has_phone = desk.may(Right.CONTROL) or desk.may(Right.APPROVE)
    return Shown("account/phone.html", {"who": await desk.get(me.get_me), "has_phone": has_phone})


async def say_phone(desk: Desk) -> Gone:
    """Say which phone it is; a code goes there."""
    need_concerned(desk.user)
    said = await desk.act(deputies.set_own_phone, body=body_of(OwnPhoneBody, desk.form))
    if said.proved_at is not None:
        return Gone(PHONE, phrase("This phone is proved already."))
    return Gone(PHONE, phrase("A code is on its way to your phone."))


async def prove_phone(desk: Desk) -> Gone:
    """Give the code that has come."""
    need_concerned(desk.user)
    await desk.act(deputies.prove_own_phone, body=body_of(PhoneCodeBody, desk.form))
    done = phrase("Your phone is proved. Notices and tests of what you sign go there.")
    return Gone("/account", done)


async def take_away(desk: Desk) -> Gone:
    """Take the own phone away; nothing goes to it any more."""
    need_concerned(desk.user)
    await desk.act(deputies.set_own_phone, body=OwnPhoneBody(phone=None))
    return Gone(PHONE, phrase("Your phone is taken away."))
