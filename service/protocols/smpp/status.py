"""What SMPP's codes mean: command_status of logins and submits, state and status of a receipt.

Sources: SMPP 3.4 Issue 1.2 §5.1.3 and §5.2.28, appendix B. Codes from 0x100 on are the vendor's:
they are refusals for reasons of their own, unless the account's settings say otherwise.
"""

from collections.abc import Collection
from dataclasses import dataclass

from service.channels.contract.outcome import Outcome, ReceiptState
from service.ledger.reasons import Reason
from service.protocols.carrier_codes import LoginMeaning, ReportMeaning, SubmitMeaning
from service.protocols.smpp.report import Report

ESME_ROK = 0x00
ESME_RINVMSGLEN = 0x01
ESME_RINVCMDLEN = 0x02
ESME_RINVCMDID = 0x03
ESME_RINVBNDSTS = 0x04
ESME_RALYBND = 0x05
ESME_RSYSERR = 0x08
ESME_RINVSRCADR = 0x0A
ESME_RINVDSTADR = 0x0B
ESME_RINVMSGID = 0x0C
ESME_RBINDFAIL = 0x0D
ESME_RINVPASWD = 0x0E
ESME_RINVSYSID = 0x0F
ESME_RCANCELFAIL = 0x11
ESME_RMSGQFUL = 0x14
ESME_RTHROTTLED = 0x58
ESME_RUNKNOWNERR = 0xFF

_LOGINS = {
    ESME_RINVCMDLEN: LoginMeaning(False, "the login packet has a bad length"),
    ESME_RINVCMDID: LoginMeaning(
        False, "this kind of login is not offered there; set `bind` to another"
    ),
    ESME_RINVBNDSTS: LoginMeaning(True, "the connection is in the wrong state"),
    ESME_RALYBND: LoginMeaning(True, "this account is logged in already"),
    ESME_RSYSERR: LoginMeaning(True, "the SMSC has an error of its own"),
    ESME_RBINDFAIL: LoginMeaning(True, "the login failed for a reason that is not given"),
    ESME_RINVPASWD: LoginMeaning(False, "the password is wrong"),
    ESME_RINVSYSID: LoginMeaning(False, "the system_id is not known there"),
    0x53: LoginMeaning(False, "the system_type is not known there"),
}

_TEXTS = {
    0x01: "bad message length",
    0x02: "bad command length",
    0x03: "bad command",
    0x04: "not allowed in this kind of login",
    0x05: "logged in already",
    0x06: "bad priority",
    0x07: "bad registered_delivery",
    0x08: "system error",
    0x0A: "bad source address",
    0x0B: "bad destination address",
    0x0C: "bad message id",
    0x0D: "login failed",
    0x0E: "bad password",
    0x0F: "bad system_id",
    0x11: "cancelling failed",
    0x13: "replacing failed",
    0x14: "queue full",
    0x15: "bad service_type",
    0x33: "bad number of destinations",
    0x34: "bad name of a distribution list",
    0x40: "bad destination flag",
    0x42: "submit with replace not possible",
    0x43: "bad esm_class",
    0x44: "submitting to the distribution list is not possible",
    0x45: "submitting failed",
    0x48: "bad source ton",
    0x49: "bad source npi",
    0x50: "bad destination ton",
    0x51: "bad destination npi",
    0x53: "bad system_type",
    0x54: "bad replace_if_present_flag",
    0x55: "bad number of messages",
    0x58: "too fast",
    0x61: "bad schedule time",
    0x62: "bad validity period",
    0x63: "bad default message id",
    0x64: "temporary error of the receiver",
    0x65: "permanent error of the receiver",
    0x66: "refused by the receiver",
    0x67: "querying failed",
    0xC0: "bad optional part",
    0xC1: "optional parameter not allowed",
    0xC2: "bad length of an optional parameter",
    0xC3: "an optional parameter is missing",
    0xC4: "bad value of an optional parameter",
    0xFE: "delivery failed",
    0xFF: "unknown error",
}

# Some SMSCs say "system error" when they mean too fast; a temporary error ends by waiting as well.
_THROTTLED = frozenset({ESME_RMSGQFUL, ESME_RTHROTTLED, ESME_RSYSERR, 0x64})
_SUSPENDED = frozenset({ESME_RINVBNDSTS})
_REASONS = {
    **dict.fromkeys(
        (
            *(0x01, 0x02, 0x03, 0x06, 0x07, 0x0B, 0x0C, 0x33, 0x34, 0x40, 0x42, 0x43, 0x44),
            *(0x48, 0x49, 0x50, 0x51, 0x54, 0x55, 0x61, 0x62, 0x63),
            *(0xC0, 0xC1, 0xC2, 0xC3, 0xC4),
        ),
        Reason.FORMAT,
    ),
    **dict.fromkeys((0x0A, 0x15, 0x53), Reason.ACCOUNT),
    **dict.fromkeys((0x45, 0xFE), Reason.NETWORK),
}

ENROUTE, DELIVERED, EXPIRED, DELETED, UNDELIVERABLE = 1, 2, 3, 4, 5
ACCEPTED, UNKNOWN, REJECTED = 6, 7, 8

_BUFFERED = ReportMeaning(ReceiptState.BUFFERED, Reason.NONE)
_DELIVERED = ReportMeaning(ReceiptState.DELIVERED, Reason.NONE)
_OTHER = ReportMeaning(ReceiptState.UNDELIVERED, Reason.OTHER)
_STATES = {
    0: _BUFFERED,  # SCHEDULED, of 5.0
    ENROUTE: _BUFFERED,
    DELIVERED: _DELIVERED,
    EXPIRED: ReportMeaning(ReceiptState.EXPIRED, Reason.POWERED_OFF),
    DELETED: _OTHER,
    UNDELIVERABLE: _OTHER,
    ACCEPTED: _BUFFERED,
    UNKNOWN: ReportMeaning(ReceiptState.UNKNOWN, Reason.OTHER),
    REJECTED: ReportMeaning(ReceiptState.REJECTED, Reason.REJECTED),
    9: _OTHER,  # SKIPPED, of 5.0
}
STATS = {
    0: "SCHEDLD",
    ENROUTE: "ENROUTE",
    DELIVERED: "DELIVRD",
    EXPIRED: "EXPIRED",
    DELETED: "DELETED",
    UNDELIVERABLE: "UNDELIV",
    ACCEPTED: "ACCEPTD",
    UNKNOWN: "UNKNOWN",
    REJECTED: "REJECTD",
    9: "SKIPPED",
}
"""The status word of each message_state."""

_WORDS = {
    **{word: state for state, word in STATS.items()},
    "SCHEDULED": 0,
    "DELIVERED": DELIVERED,
    "UNDELIVERABLE": UNDELIVERABLE,
    "UNDELIVERED": UNDELIVERABLE,
    "ACCEPTED": ACCEPTED,
    "REJECTED": REJECTED,
}


def login_meaning(status: int) -> LoginMeaning:
    """What a non-zero command_status of a login means."""
    return _LOGINS.get(status) or LoginMeaning(True, "the SMSC's own error")


@dataclass(frozen=True, slots=True)
class OwnCodes:
    """What an account's codes mean beyond the specification; they come before its tables.

    too_fast: sent again more slowly. suspended: the account may not send for now. daily_limit: its
    amount of the day is used up.
    """

    too_fast: Collection[int] = ()
    suspended: Collection[int] = ()
    daily_limit: Collection[int] = ()


NO_OWN_CODES = OwnCodes()


def submit_meaning(status: int, own: OwnCodes = NO_OWN_CODES) -> SubmitMeaning:
    """What the command_status of a submit means."""
    if status == ESME_ROK:
        return SubmitMeaning(Outcome.ACCEPTED, Reason.NONE, "accepted")
    text = _TEXTS.get(status, "the SMSC's own code")
    if status in own.daily_limit:
        return SubmitMeaning(Outcome.DAILY_LIMIT, Reason.ACCOUNT, text)
    if status in _SUSPENDED or status in own.suspended:
        return SubmitMeaning(Outcome.SUSPENDED, Reason.ACCOUNT, text)
    if status in _THROTTLED or status in own.too_fast:
        return SubmitMeaning(Outcome.THROTTLED, Reason.FREQUENCY_LIMIT, text)
    return SubmitMeaning(Outcome.REJECTED, _REASONS.get(status, Reason.OTHER), text)


def report_meaning(report: Report, *, accepted_is_final: bool = False) -> ReportMeaning:
    """What a receipt means; an unknown status is a failure for reasons of its own.

    accepted_is_final: ACCEPTED is a success by the book ("on behalf of the user"); most SMSCs mean
    that the network has taken the text and will say more.
    """
    if report.intermediate:
        return _BUFFERED
    state = report.state if report.state in _STATES else _WORDS.get(report.stat)
    if state == ACCEPTED and accepted_is_final:
        return _DELIVERED
    return _OTHER if state is None else _STATES[state]


def status_word(report: Report) -> str:
    """The carrier's words for a receipt: its status, and its error code if it has one."""
    stat = report.stat or STATS.get(report.state or 0, f"state {report.state}")
    return f"{stat}:{report.err}" if report.err.strip("0") else stat
