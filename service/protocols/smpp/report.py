"""Delivery receipts: SMPP 3.4 §5.2.12, §5.3.2.12, §5.3.2.35 and appendix B; and SMPP's times.

The optional parameters receipted_message_id and message_state come first, the text second. The
text is vendor specific: it is read by its keys, whatever their case, order and number.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum

from service.coding import udh
from service.protocols.smpp import coding, tlv
from service.protocols.smpp.pdu import DataSM, ShortMessage
from service.protocols.smpp.tlv import Tag
from service.protocols.times import BEIJING

MOST_RELATIVE_DAYS = 99
"""The days of a relative time have two digits."""

TYPE_MASK = 0x3C
RECEIPT = 0x04
INTERMEDIATE = 0x20

_KEY = r"(?:id|sub|dlvrd|submit[ _]date|done[ _]date|stat|err|text)"
_FIELD = re.compile(rf"(?<!\w)({_KEY})\s*:[ ]*(?!{_KEY}:)(\S*)", re.IGNORECASE)
_TEXT = re.compile(r"(?<!\w)text:", re.IGNORECASE)


class IdForm(StrEnum):
    """How the ids in receipts are written, compared with those in submit_sm_resp."""

    SAME = "same"  # the same characters
    NUMBER = "number"  # both decimal, one of them perhaps with zeros in front
    HEX_DECIMAL = "hex_decimal"  # the response hexadecimal, the receipt decimal
    DECIMAL_HEX = "decimal_hex"  # the response decimal, the receipt hexadecimal


_DECIMAL = re.compile("[0-9]{1,64}"), 10
_HEX = re.compile("[0-9A-Fa-f]{1,64}"), 16
_FORMS = {
    IdForm.NUMBER: (_DECIMAL, _DECIMAL),
    IdForm.HEX_DECIMAL: (_HEX, _DECIMAL),
    IdForm.DECIMAL_HEX: (_DECIMAL, _HEX),
}


@dataclass(slots=True)
class Report:
    """What a receipt says of one message.

    stat: its status word, "" for none. state: message_state, None for none. err: the SMSC's own
    error code. done: its done date as it came. intermediate: by its type not the last word.
    """

    message_id: str
    stat: str
    state: int | None = None
    err: str = ""
    done: str = ""
    intermediate: bool = False


def is_report(message: ShortMessage | DataSM) -> bool:
    """Whether a message is a receipt: by its type, a parameter, or the look of its text."""
    kind = message.esm_class & TYPE_MASK
    if kind:
        return kind in {RECEIPT, INTERMEDIATE}
    if tlv.text(message.parameters, Tag.RECEIPTED_MESSAGE_ID) is not None:
        return True
    text = _text_of(message)
    return text[:3].lower() == "id:" and " stat:" in text.lower()


def parse_report(message: ShortMessage | DataSM) -> Report | None:
    """Read a receipt; None if it names no message or says nothing of its state."""
    found = read_fields(_text_of(message))
    parameters = message.parameters
    message_id = tlv.text(parameters, Tag.RECEIPTED_MESSAGE_ID) or found.get("id", "")
    state = tlv.number(parameters, Tag.MESSAGE_STATE)
    stat = found.get("stat", "").upper()
    if not message_id or (state is None and not stat):
        return None
    return Report(
        message_id=message_id,
        stat=stat,
        state=state,
        err=found.get("err", ""),
        done=found.get("done date", ""),
        intermediate=message.esm_class & TYPE_MASK == INTERMEDIATE,
    )


def read_fields(text: str) -> dict[str, str]:
    """The values of a receipt's text by key, in lower case; the first of each counts.

    What follows `text:` is the beginning of the reported text, and may contain anything.
    """
    end = _TEXT.search(text)
    found: dict[str, str] = {}
    for key, value in _FIELD.findall(text[: end.start()] if end else text):
        found.setdefault(key.lower().replace("_", " "), value)
    return found


def write_report(report: Report, submitted: str, text: str) -> str:
    """A receipt's text in the usual pattern.

    submitted: the submit date, in digits. text: the beginning of the reported text.
    """
    delivered = "001" if report.stat == "DELIVRD" else "000"
    return (
        f"id:{report.message_id} sub:001 dlvrd:{delivered} submit date:{submitted} "
        f"done date:{report.done} stat:{report.stat} err:{report.err} text:{text}"
    )


def reference(message_id: str, form: IdForm, *, receipt: bool) -> bytes:
    """The octets by which a receipt finds its submit: the same for both, whatever their form.

    An id that is not written as its form says keeps its characters.
    """
    sides = _FORMS.get(form)
    if sides is not None:
        pattern, base = sides[receipt]
        if pattern.fullmatch(message_id):
            return str(int(message_id, base)).encode()
    return message_id.encode("latin-1", "backslashreplace")


def same_id(answered: tuple[bytes, str], reported: tuple[bytes, str], form: str) -> bool:
    """Whether a response's reference and a receipt's mean one id, if ids are written by `form`.

    answered, reported: each with the form by which it was stored. That may have lost zeros in front
    and the case of letters, so these say nothing where ids are the same.
    """
    response = _as_written(*answered, receipt=False)
    receipt = _as_written(*reported, receipt=True)
    if form == IdForm.SAME:
        return response.upper().lstrip("0") == receipt.upper().lstrip("0")
    by = IdForm(form)
    return reference(response, by, receipt=False) == reference(receipt, by, receipt=True)


def _as_written(ref: bytes, stored: str, *, receipt: bool) -> str:
    """The id that `reference` made these octets of, but for zeros in front and the case."""
    text = ref.decode("latin-1")
    sides = _FORMS.get(IdForm(stored))
    hexadecimal = sides is not None and sides[receipt] is _HEX
    return f"{int(text):X}" if hexadecimal and _DECIMAL[0].fullmatch(text) else text


def read_time(text: str, zone: timezone) -> datetime | None:
    """A YYMMDDhhmm[ss] time of a zone, or one with a century; what makes no sense is None."""
    if not (text.isascii() and text.isdecimal() and len(text) in {10, 12, 14}):
        return None
    digits = text[2:] if len(text) == 14 else text.ljust(12, "0")
    year, month, day, hour, minute, second = (int(digits[at : at + 2]) for at in range(0, 12, 2))
    try:
        local = datetime(2000 + year, month, day, hour, minute, second, tzinfo=zone)
    except ValueError:
        return None
    return local.astimezone(UTC)


def write_minute(at: datetime, zone: timezone = BEIJING) -> str:
    """An instant as a YYMMDDhhmm time of a zone."""
    return at.astimezone(zone).strftime("%y%m%d%H%M")


def write_absolute(until: datetime) -> str:
    """A time in absolute form (§7.1.1), `YYMMDDhhmmss032+` with tenths: Beijing's 32 quarters."""
    return until.astimezone(BEIJING).strftime("%y%m%d%H%M%S") + "032+"


def write_validity(until: datetime | None, now: datetime, *, relative: bool) -> str:
    """The end of validity in either form (§7.1.1); "" for the SMSC's own."""
    if until is None:
        return ""
    return write_relative(until - now) if relative else write_absolute(until)


def write_relative(span: timedelta) -> str:
    """A span in relative form (§7.1.1), `YYMMDDhhmmss000R`: in days, at most 99 of them.

    A span that is over is one second long: all zeros would mean the SMSC's own default.
    """
    seconds = max(1, min(int(span.total_seconds()), MOST_RELATIVE_DAYS * 86400))
    days, rest = divmod(seconds, 86400)
    return f"0000{days:02d}{rest // 3600:02d}{rest // 60 % 60:02d}{rest % 60:02d}000R"


def _text_of(message: ShortMessage | DataSM) -> str:
    """A receipt's text; some stacks end it with a zero octet, some say it is UCS-2."""
    content = message.content
    if message.esm_class & coding.UDH_INDICATOR:
        _, content = udh.parse(content)
    text = content.decode("latin-1")
    if message.data_coding == coding.UCS2:
        wide = content.decode("utf-16-be", "replace")
        text = wide if ":" in wide else text
    return text.replace("\x00", " ").rstrip()
