"""What a provider's answers and callbacks mean, by the operator's own tables.

A path is names and list positions with dots between them: `data.list.0.msgid`; "" is the document
itself. A meaning is a word of ours, with a reason where there is one: `accepted`, `throttled`,
`rejected:blacklisted`, `undelivered:powered_off`.
"""

import json
from collections.abc import Mapping
from urllib.parse import parse_qsl

from service.channels.contract.outcome import Outcome, ReceiptState
from service.errors import Invalid
from service.ledger.reasons import Place, Reason
from service.protocols.carrier_codes import ReportMeaning, SubmitMeaning
from service.words.phrase import listing, phrase

SUBMITS = (
    Outcome.ACCEPTED,
    Outcome.REJECTED,
    Outcome.UNANSWERED,
    Outcome.THROTTLED,
    Outcome.SUSPENDED,
    Outcome.DAILY_LIMIT,
)
"""What an answer can mean; that nothing was sent, only we can know."""

MOST_FIELDS = 5_000
CODE_CHARACTERS = 64

STATUSES: Mapping[str, SubmitMeaning] = {
    status: SubmitMeaning(outcome, reason, "")
    for outcome, reason, statuses in (
        (Outcome.REJECTED, Reason.FORMAT, ("400", "413", "422")),
        (Outcome.SUSPENDED, Reason.ACCOUNT, ("401", "402", "403", "404", "405", "415")),
        (Outcome.SUSPENDED, Reason.ACCOUNT, ("307", "308")),
        (Outcome.UNANSWERED, Reason.NONE, ("408",)),
        (Outcome.THROTTLED, Reason.FREQUENCY_LIMIT, ("429",)),
    )
    for status in statuses
}
"""HTTP statuses, where the provider's own code says nothing (RFC 9110 §15). 408 and 5xx may come
from a proxy that has passed the request on; 307 and 308 say that nothing was done with it."""


def submit_meaning(words: str) -> SubmitMeaning:
    """Read a meaning like `rejected:blacklisted`.

    Raises:
        ValueError: it is none of those that an answer can have.
    """
    word, _, reason = words.strip().partition(":")
    if word not in SUBMITS:
        raise ValueError(phrase("{word!r} is none of {known}", word=word, known=listing(SUBMITS)))
    return SubmitMeaning(Outcome(word), _reason(reason, refused=word == Outcome.REJECTED), "")


def report_meaning(words: str) -> ReportMeaning:
    """Read a meaning like `undelivered:empty_number`.

    Raises:
        ValueError: it is no state of a receipt.
    """
    word, _, reason = words.strip().partition(":")
    if word not in set(ReceiptState):
        raise ValueError(
            phrase("{word!r} is none of {known}", word=word, known=listing(ReceiptState))
        )
    failed = word in (ReceiptState.UNDELIVERED, ReceiptState.REJECTED, ReceiptState.UNKNOWN)
    return ReportMeaning(ReceiptState(word), _reason(reason, refused=failed))


def status_meaning(status: int) -> SubmitMeaning:
    """What an HTTP status alone means."""
    if 200 <= status < 300:
        return SubmitMeaning(Outcome.ACCEPTED, Reason.NONE, "")
    known = STATUSES.get(str(status))
    if known is not None:
        return known
    if 400 <= status < 500:
        return SubmitMeaning(Outcome.REJECTED, Reason.OTHER, "")
    return SubmitMeaning(Outcome.UNANSWERED, Reason.NONE, "")


def find(document: object, path: str) -> object:
    """What stands at a path; None if nothing does."""
    node = document
    for name in path.split(".") if path else ():
        if isinstance(node, dict):
            node = node.get(name)
        elif isinstance(node, list) and name.isascii() and name.isdecimal():
            place = int(name) if len(name) < 7 else len(node)
            node = node[place] if place < len(node) else None
        else:
            return None
    return node


def text_at(document: object, path: str) -> str:
    """The text or number at a path as a text; "" if there is neither."""
    node = find(document, path)
    if isinstance(node, bool):
        return "true" if node else "false"
    return clean(str(node)) if isinstance(node, str | int | float) else ""


def code_at(document: object, path: str) -> str:
    """A code as it came, as long as codes are."""
    return text_at(document, path)[:CODE_CHARACTERS]


def clean(text: str) -> str:
    """The text without what PostgreSQL and UTF-8 cannot hold: NUL, halves of surrogate pairs."""
    return text.encode("utf-8", "replace").decode().replace("\0", "")


def read_document(body: bytes, content_type: str) -> object:
    """A body as JSON or, where it is said to be one, as a form (an object of texts).

    Raises:
        Invalid: it is neither.
    """
    if "form-urlencoded" in content_type.lower():
        try:
            text = body.decode("utf-8", "replace")
            return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS))
        except ValueError as error:
            raise Invalid(phrase("the form has too many fields")) from error
    try:
        # Numbers stay as they were written: an id of 20 digits is no float.
        return json.loads(body, parse_float=str, parse_int=str)
    except (ValueError, RecursionError) as error:
        raise Invalid(phrase("the body is neither JSON nor a form")) from error


def _reason(word: str, *, refused: bool) -> Reason:
    if not word:
        return Reason.OTHER if refused else Reason.NONE
    if word not in (known := Reason.at(Place.CARRIER)):
        raise ValueError(phrase("{word!r} is none of {known}", word=word, known=listing(known)))
    return Reason(word)
