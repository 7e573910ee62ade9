"""What CMPP's codes mean: CONNECT status, SUBMIT result and the Stat of a report.

Sources: QB-GF-028-2003 §8 and, beyond its tables, the codes that widespread gateway makes use.
Outside the specification a code's meaning varies with carrier and province; unknown ones are
`other`, and the raw code is always kept beside the meaning.
"""

import re
from collections.abc import Iterable, Mapping

from service.channels.contract.outcome import Outcome, ReceiptState
from service.ledger.reasons import Reason
from service.protocols.carrier_codes import LoginMeaning, ReportMeaning, SubmitMeaning

CONNECT_OK = 0
CONNECT_BAD_STRUCTURE = 1
CONNECT_BAD_SOURCE = 2
CONNECT_AUTHENTICATION_FAILED = 3
CONNECT_VERSION_TOO_HIGH = 4
CONNECT_TOO_MANY_CONNECTIONS = 56

RESULT_OK = 0
RESULT_BAD_LENGTH = 4
RESULT_TOO_LONG = 6
RESULT_FLOW_CONTROL = 8
RESULT_BAD_SOURCE = 10
RESULT_BAD_DESTINATION = 13

_LOGINS = {
    1: LoginMeaning(False, "the login packet has a bad structure"),
    2: LoginMeaning(False, "the account is not known there"),
    3: LoginMeaning(False, "account and secret do not match"),
    4: LoginMeaning(False, "this version of CMPP is not spoken there, try another one"),
    5: LoginMeaning(True, "an unspecified error"),
    55: LoginMeaning(True, "the gateway has reached its limit of connections"),
    56: LoginMeaning(True, "this account has too many connections already"),
    57: LoginMeaning(False, "logins from this IP address are not allowed"),
}

_TEXTS = {
    1: "bad structure",
    2: "bad command",
    3: "repeated sequence number",
    4: "bad length",
    5: "bad fee code",
    6: "message too long",
    7: "bad service code",
    8: "too fast",
    9: "the charged number is not served here",
    10: "bad Src_Id",
    11: "bad Msg_src",
    12: "bad Fee_terminal_Id",
    13: "bad Dest_terminal_Id",
    51: "next node not connected",
    52: "next node not logged in",
    53: "sending on failed",
    54: "no answer from the next node",
    61: "validity passed",
    63: "unknown FeeType",
    64: "source address refused",
    65: "source address refused",
    66: "destination address refused",
    67: "destination address refused",
    68: "user authentication failed",
    69: "number on the blacklist",
    70: "link down",
    71: "limit of the node reached",
    72: "no route",
    73: "waiting for the answer timed out",
    76: "content security check",
    77: "too many submits",
    78: "SP id missing",
    79: "service code missing",
    83: "too long for the receiver",
    87: "flow control of the service platform",
    208: "no balance",
    250: "queue full",
}

TOO_FAST = (8, 84, 85, 86, 87, 88, 250)

SUSPENDED = (5, 7, 10, 11, 63, 64, 65, 68, 78, 79, 208)
"""The account or its set-up: no text can leave until somebody has seen to it."""

_OUTCOME_UNKNOWN = frozenset({54, 73})

# The text or the packet, whoever it is for. Any other refusal may be for one recipient of several.
_TEXT = frozenset({1, 2, 3, 4, 6, 61, 62, 71, 76, 77, 83})

_REASONS = {
    **dict.fromkeys((1, 2, 3, 4, 6, 13, 66, 67, 83), Reason.FORMAT),
    **dict.fromkeys((*SUSPENDED, 9, 12, 71), Reason.ACCOUNT),
    **dict.fromkeys((51, 52, 53, 54, 70, 73), Reason.NETWORK),
    69: Reason.BLACKLISTED,
    76: Reason.CONTENT_FILTER,
    77: Reason.FREQUENCY_LIMIT,
}

_STATS = {
    "DELIVRD": ReportMeaning(ReceiptState.DELIVERED, Reason.NONE),
    "ACCEPTD": ReportMeaning(ReceiptState.BUFFERED, Reason.NONE),
    "ENROUTE": ReportMeaning(ReceiptState.BUFFERED, Reason.NONE),
    "EXPIRED": ReportMeaning(ReceiptState.EXPIRED, Reason.POWERED_OFF),
    "DELETED": ReportMeaning(ReceiptState.UNDELIVERED, Reason.OTHER),
    "UNDELIV": ReportMeaning(ReceiptState.UNDELIVERED, Reason.OTHER),
    "UNKNOWN": ReportMeaning(ReceiptState.UNKNOWN, Reason.OTHER),
    "REJECTD": ReportMeaning(ReceiptState.REJECTED, Reason.REJECTED),
    "MBBLACK": ReportMeaning(ReceiptState.UNDELIVERED, Reason.BLACKLISTED),
    "TDBLACK": ReportMeaning(ReceiptState.UNDELIVERED, Reason.BLACKLISTED),
    "KEYWORD": ReportMeaning(ReceiptState.REJECTED, Reason.CONTENT_FILTER),
}

# The two letters say where it failed; the state is the family's, whatever the digits.
_FAMILIES = {
    **dict.fromkeys(("MA", "MC", "CA", "DA", "SA", "IA", "IC", "MM"), ReceiptState.UNKNOWN),
    **dict.fromkeys(
        ("MB", "CB", "DB", "SB", "IB", "MJ", "MK", "NP", "ID"), ReceiptState.UNDELIVERED
    ),
    "MI": ReceiptState.EXPIRED,
    "ML": ReceiptState.BUFFERED,
    "MN": ReceiptState.REJECTED,
    "CR": ReceiptState.REJECTED,
    "NE": ReceiptState.UNDELIVERED,
}

_CODES = {
    **dict.fromkeys(
        ("MK:0001", "MI:0054", "MI:0059", "CB:0001", "CB:0053", "DB:0101"), Reason.EMPTY_NUMBER
    ),
    **dict.fromkeys(("MK:0005", "MK:0013", "CB:0005", "DB:0102"), Reason.SUSPENDED),
    **dict.fromkeys(("MK:0010", "MK:0023", "MI:0024"), Reason.POWERED_OFF),
    **dict.fromkeys(("MI:0208", "MI:0099", "NE:0103"), Reason.MEMORY_FULL),
    **dict.fromkeys(("MK:0014", "MK:0115", "IB:0076", "CR:0200"), Reason.CONTENT_FILTER),
    **dict.fromkeys(("MK:1041", "MI:0079", "DB:0142", "CR:0202"), Reason.FREQUENCY_LIMIT),
    **dict.fromkeys(("DB:0144", "IB:0069"), Reason.BLACKLISTED),
    **dict.fromkeys(("NP:1243", "MB:1049"), Reason.PORTED),
    **dict.fromkeys(("CB:0007", "DB:0107", "DB:0108", "DB:0115", "DB:0116"), Reason.ACCOUNT),
    **dict.fromkeys(
        ("MK:0012", "MK:0015", "MK:0036", "MI:0061", "MI:0062", "IB:0008", "DB:9007", "CR:0206"),
        Reason.NETWORK,
    ),
    **dict.fromkeys(("DA:0054", "DB:0122", "DB:9001", "IB:0009", "IB:0070"), Reason.NETWORK),
    **dict.fromkeys(("IB:0100", "IB:0113", "IB:0255", "IC:0154"), Reason.NETWORK),
}
_NETWORK_FAMILIES = frozenset({"MA", "MC", "CA", "DA", "SA", "IA", "IC"})
_BUFFERED = ReportMeaning(ReceiptState.BUFFERED, Reason.NONE)
_OTHER = ReportMeaning(ReceiptState.UNDELIVERED, Reason.OTHER)

# Some gateways leave the colon out and write five digits: MI00000.
_FAMILY_CODE = re.compile(r"([A-Z]{2}):?[0-9]*?([0-9]{4})")


def login_meaning(status: int) -> LoginMeaning:
    """What a non-zero CONNECT status means."""
    return _LOGINS.get(status) or LoginMeaning(True, "the gateway's own error")


def not_now(
    *,
    too_fast: Iterable[int] = TOO_FAST,
    suspended: Iterable[int] = SUSPENDED,
    daily_limits: Iterable[int] = (),
) -> Mapping[int, Outcome]:
    """The results that refuse no text for good; which they are varies with the carrier."""
    return {
        **dict.fromkeys(too_fast, Outcome.THROTTLED),
        **dict.fromkeys(suspended, Outcome.SUSPENDED),
        **dict.fromkeys(daily_limits, Outcome.DAILY_LIMIT),
    }


_NOT_NOW = not_now()


def submit_meaning(
    result: int, recipients: int = 1, *, not_now: Mapping[int, Outcome] = _NOT_NOW
) -> SubmitMeaning:
    """What a SUBMIT result means.

    Args:
        result: the code.
        recipients: how many the SUBMIT had. If any number is bad the gateway takes none of them,
            so a refusal that may be one number's is that of the lot.
        not_now: the carrier's results that refuse nothing for good; they come before the table.
    """
    if result == RESULT_OK:
        return SubmitMeaning(Outcome.ACCEPTED, Reason.NONE, "accepted")
    text = _TEXTS.get(result, "the gateway's own code")
    outcome = not_now.get(result)
    if outcome is None:
        return SubmitMeaning(_refusal(result, recipients), _REASONS.get(result, Reason.OTHER), text)
    held = outcome is Outcome.SUSPENDED
    return SubmitMeaning(outcome, Reason.ACCOUNT if held else Reason.FREQUENCY_LIMIT, text)


def report_meaning(stat: str) -> ReportMeaning:
    """What the Stat of a report means; an unknown one is a failure for reasons of its own."""
    known = _STATS.get(stat)
    if known:
        return known
    match = _FAMILY_CODE.fullmatch(stat)
    if not match:
        return _OTHER
    return _family_meaning(match[1], match[2])


def _family_meaning(family: str, digits: str) -> ReportMeaning:
    state = _FAMILIES.get(family, ReceiptState.UNDELIVERED)
    if state is ReceiptState.BUFFERED:
        return _BUFFERED
    fallback = Reason.NETWORK if family in _NETWORK_FAMILIES else Reason.OTHER
    return ReportMeaning(state, _CODES.get(f"{family}:{digits}", fallback))


def _refusal(result: int, recipients: int) -> Outcome:
    if result in _OUTCOME_UNKNOWN:
        return Outcome.UNANSWERED
    if recipients > 1 and result not in _TEXT:
        return Outcome.REFUSED_LOT
    return Outcome.REJECTED
