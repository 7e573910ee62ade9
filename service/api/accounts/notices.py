"""What the caller wants to be told of by a text or a mail, and what they were told lately."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from service.accounts.people import phone_store
from service.accounts.people.model import Right, User
from service.api.http.call import Call, Counted
from service.api.http.schema import Body, Instant, Line, Out, PlainOut
from service.audience.numbers.number import mask
from service.delivery.notices import mail_store, notice_store
from service.delivery.notices.mail_proof import prove_address
from service.delivery.notices.notice_choice import (
    NoticeChoice,
    NoticeKind,
    NoticeWay,
    choose,
    get_choice,
)
from service.delivery.notices.notice_text import NoticeState, pack_mail_words, state_of, words_of
from service.errors import Conflict, Forbidden, Invalid
from service.reports.weekly.packs import may_open
from service.storage.postgres import Record
from service.words.phrase import phrase, translated

LATELY = 10
"""So many of the last notices, and of the last mails of packs, are shown."""


class NoticeChoiceBody(Body):
    """What you want to be told of, how, and in which language; no kinds: of nothing."""

    kinds: Annotated[list[NoticeKind], Field(max_length=10)] = Field(
        default=[],
        description="approval: a campaign waits for you to approve it. returned: one that you"
        " submitted or edited was returned or rejected, or a department returned its leg. paused:"
        " one of these paused by itself. leg: a joint plan asks for your department's leg.",
    )
    way: NoticeWay = Field(
        default=NoticeWay.TEXT,
        description="A text to the phone that you have proved, or a mail.",
    )
    mail: Annotated[Line, StringConstraints(max_length=254)] | None = Field(
        default=None,
        description="The address of the mails, in one of `mail_domains`. A code goes to one that is"
        " not proved.",
    )
    language: Literal["zh", "en"] = "zh"
    packs: bool = Field(
        default=False,
        description="A mail of each version of the county's pack of weekly reports that is built,"
        " with its address and SHA-256; to `mail`, whatever `way` is. Only for those who may open"
        " packs.",
    )


class PackMailOut(Out):
    """One mail of a version of a pack, and what became of it."""

    week: str
    version: int
    at: Instant = Field(description="When the version was built.")
    plain: PlainOut


class ToldOut(Out):
    """One notice, and what became of it."""

    kind: NoticeKind
    campaign_id: UUID
    campaign: str
    leg_id: UUID | None = Field(description="Of the joint plan `campaign_id`; null: of none.")
    at: Instant = Field(description="When it happened.")
    told_at: Instant | None = Field(description="When it was put into a text or a mail, or left.")
    state: NoticeState = Field(
        description="waiting: for others, for the hours of service texts, or for the mail server."
        " text: it is in a text, whose run is `run_id`. sent: the mail server has the mail."
        " uncertain: it may have it, and the mail is not sent again. failed: the mail was given"
        " up. left: you were not told."
    )
    run_id: UUID | None
    plain: PlainOut


class NoticesOut(Out):
    """What you chose, what could be chosen, and what you were told lately."""

    kinds: list[NoticeKind]
    way: NoticeWay
    mail: str | None
    mail_proved: bool = Field(description="Mails go to an address that is proved, and to no other.")
    language: Literal["zh", "en"]
    phone: str | None = Field(description="Yours, masked; null: you have not said one.")
    phone_proved: bool = Field(description="Texts go to a phone that is proved, and to no other.")
    mail_domains: list[str] = Field(description="None: no mail server is set up here.")
    lately: list[ToldOut] = Field(description=f"The last {LATELY}, from new to old.")
    packs: bool
    may_open_packs: bool = Field(description="Only who may open packs has mails of them.")
    pack_mails: list[PackMailOut] = Field(description=f"The last {LATELY}, from new to old.")


def need_concerned(user: User) -> None:
    """Refuse whom no notice and no test ever concerns: those who only read.

    Raises:
        Forbidden: the user neither plans, steers nor approves campaigns.
    """
    if not _is_concerned(user):
        raise Forbidden(phrase("this is for those who plan, steer or approve campaigns"))


def _is_concerned(user: User) -> bool:
    return user.may(Right.CONTROL) or user.may(Right.APPROVE)


def is_told(user: User) -> bool:
    """Whether there is anything that somebody can be told of."""
    return _is_concerned(user) or may_open(user)


def _need_told(user: User) -> None:
    if not is_told(user):
        need_concerned(user)


async def get_notices(call: Call) -> NoticesOut:
    """Say what you are told of by a text or a mail, and what you were told lately."""
    _need_told(call.user)
    settings, keyring = call.runtime.settings, call.runtime.keyring
    choice = await get_choice(call.conn, keyring, call.user)
    own = await phone_store.get_phone(call.conn, call.user.id)
    lately = await notice_store.list_lately(call.conn, call.user.id, LATELY)
    pack_mails = await mail_store.list_pack_mails(call.conn, call.user.id, LATELY)
    return NoticesOut(
        kinds=sorted(choice.kinds),
        way=choice.way,
        mail=choice.mail,
        mail_proved=choice.mail_proved_at is not None,
        language="en" if choice.language == "en" else "zh",
        phone=mask(keyring.decrypt("phone", own.cipher)) if own.cipher is not None else None,
        phone_proved=own.proved_at is not None,
        mail_domains=settings.domains_of_mail if settings.smtp_url is not None else [],
        lately=[_told(row) for row in lately],
        packs=choice.packs,
        may_open_packs=may_open(call.user),
        pack_mails=[_pack_mail(row) for row in pack_mails],
    )


class MailCodeBody(Body):
    """The code that was sent to the caller's address."""

    code: Line


async def prove_own_mail(call: Call, body: MailCodeBody) -> NoticesOut:
    """Give the code that was sent to your address; notices go there from now on."""
    _need_told(call.user)
    keyring = call.runtime.keyring
    choice = await get_choice(call.conn, keyring, call.user)
    try:
        await prove_address(call.conn, keyring, call.user, choice.mail, body.code.strip(), call.now)
    except (Conflict, Invalid) as refusal:
        raise Counted(refusal) from refusal
    return await get_notices(call)


async def set_notices(call: Call, body: NoticeChoiceBody) -> NoticesOut:
    """Choose what you are told of by a text or a mail, in place of what you chose before."""
    _need_told(call.user)
    if body.kinds:
        need_concerned(call.user)
    if body.packs and not may_open(call.user):
        raise Invalid.at("packs", phrase("the pack of all units is for county offices"))
    choice = NoticeChoice(
        frozenset(body.kinds), body.way, body.mail, body.language, packs=body.packs
    )
    await choose(
        call.conn, call.runtime.keyring, call.runtime.settings, call.user, choice, call.now
    )
    call.note("users", call.user.id, kinds=sorted(body.kinds), way=body.way, packs=body.packs)
    return await get_notices(call)


def _pack_mail(row: Record) -> PackMailOut:
    said = pack_mail_words(row["state"], row["error"])
    return PackMailOut(
        week=row["pack_week"],
        version=row["pack_version"],
        at=row["made_at"],
        plain=PlainOut(zh=translated(said, "zh"), en=translated(said, "en")),
    )


def _told(row: Record) -> ToldOut:
    state = state_of(row["settled_at"], row["skipped"], row["mail_state"])
    said = words_of(state, row["skipped"], row["mail_error"])
    return ToldOut(
        kind=NoticeKind(row["kind"]),
        campaign_id=row["campaign_id"],
        campaign=row["campaign"],
        leg_id=row["leg_id"],
        at=row["due_at"],
        told_at=row["settled_at"],
        state=state,
        run_id=row["run_id"],
        plain=PlainOut(zh=translated(said, "zh"), en=translated(said, "en")),
    )
