"""What one is told of by a text or a mail, and what became of the last notices."""

from service.accounts.people.model import Right
from service.api.accounts import notices
from service.api.accounts.notices import MailCodeBody, NoticeChoiceBody
from service.console.asking import Desk
from service.console.forms import body_of
from service.console.render import Gone, Shown
from service.words.phrase import phrase

NOTICES = "/account/notices"


async def show_notices(desk: Desk) -> Shown:
    """What one chose, and what became of the last notices."""
    chosen = await desk.get(notices.get_notices)
    ways = [way for way, can in (("text", True), ("mail", bool(chosen.mail_domains))) if can]
    concerned = desk.may(Right.CONTROL) or desk.may(Right.APPROVE)
    told = {"chosen": chosen, "ways": ways, "concerned": concerned}
    return Shown("account/notices.html", told)


async def prove_mail(desk: Desk) -> Gone:
    """Give the code that has come by mail."""
    await desk.act(notices.prove_own_mail, body=body_of(MailCodeBody, desk.form))
    return Gone(NOTICES, phrase("Your address is proved. Notices go there."))


async def choose_notices(desk: Desk) -> Gone:
    """Choose what one is told of."""
    body = body_of(NoticeChoiceBody, desk.form)
    kept = await desk.act(notices.set_notices, body=body)
    if kept.mail is not None and not kept.mail_proved and kept.mail_domains:
        return Gone(NOTICES, phrase("Your choice is kept. A code is on its way to your address."))
    none = phrase("You get no notices.")
    chosen = body.kinds or body.packs
    return Gone(NOTICES, phrase("Your choice is kept.") if chosen else none)
