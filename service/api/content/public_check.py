"""Is this text yours? Answered for everybody, without a key, from what was sent."""

from datetime import date
from typing import Annotated, Literal

from pydantic import Field

from service.api.http.call import Visit
from service.api.http.limiter import PUBLIC_PER_MINUTE
from service.api.http.schema import Body, Out, TranslatedText
from service.dispatch.value_check import would_be_sent
from service.errors import Invalid
from service.messages.sent import sent_texts
from service.messages.sent.sent_texts import MOST_CHARACTERS, Checked
from service.words.phrase import Phrase, phrase

VISITS, A_MINUTE = "check", PUBLIC_PER_MINUTE
"""As what questions are counted by address, and how many are taken in a minute."""

MOST_TYPED = 2_000
"""No longer body is looked at; one above `MOST_CHARACTERS` is told what to do."""


class CheckBody(Body):
    """What is asked about: a text message as it was got, or the mark below a poster."""

    text: Annotated[str, Field(max_length=MOST_TYPED)] | None = Field(
        None,
        description=f"One text message, whole, up to {MOST_CHARACTERS} characters. It is neither"
        " logged nor stored.",
    )
    mark: Annotated[str, Field(max_length=40)] | None = Field(
        None, description="As it stands below a poster or a scrolling text: T7-3."
    )


class CheckOut(Out):
    """Whether it is ours. It never says whether any number got it."""

    answer: Literal["ours", "like_ours", "unknown"] = Field(
        description="like_ours: it is like a text of ours, and not the same."
    )
    sentence: TranslatedText = Field(description="The answer in words.")
    department: str = Field(description='Who sent it; "" unless it is ours.')
    first_on: date | None = Field(description="The first day on which it was sent.")
    last_on: date | None = Field(description="The last day on which it was sent.")
    foreign: list[Literal["link", "number"]] = Field(
        description="What is in it that the county does not publish; then it is not ours."
    )
    text: str = Field(
        description="For a mark, what was sent: anybody can write a mark below other words."
    )


async def check_text(visit: Visit, body: CheckBody) -> CheckOut:
    """Say whether a text was sent to the public in the last 180 days; 30 times a minute."""
    text, mark = body.text or "", (body.mark or "").strip()
    if bool(text.strip()) == bool(mark):
        raise Invalid.at("text", phrase("paste a text, or type a mark such as T7-3; one of both"))
    async with visit.pool.acquire() as conn:
        if mark:
            found = await sent_texts.check_mark(conn, mark, visit.now)
        else:
            found = await sent_texts.check_text(conn, text, would_be_sent, visit.now)
    return CheckOut(
        answer=found.answer,
        sentence=_sentence(found),
        department=found.department,
        first_on=found.first_on,
        last_on=found.last_on,
        foreign=list(found.foreign),
        text=found.text,
    )


def _sentence(found: Checked) -> Phrase:
    if found.answer == "unknown":
        return phrase(
            "We do not find it. That does not make it a fraud; if you are not sure, call 96110."
        )
    if found.answer == "like_ours" and found.has_links:
        return phrase(
            "It is like a text of ours, but not the same. Do not do what it asks; if you are not"
            " sure, call 96110."
        )
    if found.answer == "like_ours":
        return phrase(
            "It is like a text of ours, but not the same; texts of this county have no links. Do"
            " not do what it asks; if you are not sure, call 96110."
        )
    first, last = found.first_on, found.last_on
    if found.text:
        return phrase(
            "What bears this mark must say the same as this text of {department}; other words are"
            " not ours.",
            department=found.department,
        )
    if first == last:
        return phrase(
            "{department} sent this text on {day}.", department=found.department, day=str(first)
        )
    return phrase(
        "{department} sent this text from {first} to {last}.",
        department=found.department,
        first=str(first),
        last=str(last),
    )
