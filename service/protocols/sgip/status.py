"""What SGIP's codes mean: results of BIND and SUBMIT, state and error code of a REPORT.

Sources: SGIP 1.2 §5 for 0 to 33; beyond it the 1.3 text and lists of carriers and vendors. By the
book, codes up to 20 are results and those above are of reports, but carriers give any code in
either place, so one table serves both. Outside the specification a code's meaning varies with
carrier and province; unknown ones are `other`, and the raw code is always kept beside the meaning.
"""

from collections.abc import Set as AbstractSet

from service.channels.contract.outcome import Outcome, ReceiptState
from service.ledger.reasons import Reason
from service.protocols.carrier_codes import LoginMeaning, ReportMeaning, SubmitMeaning

OK = 0
LOGIN_REFUSED = 1
BOUND_ALREADY = 2
TOO_MANY_CONNECTIONS = 3
WRONG_LOGIN_TYPE = 4
BAD_PARAMETER = 5
BAD_NUMBER = 6
BAD_LENGTH = 8
BAD_SEQUENCE = 9
BUSY = 11
ONE_RECIPIENT_ONLY = 19
SYSTEM_FAILURE = 32
FLOW_CONTROL = 88
DAILY_AMOUNT = 182

STATE_DELIVERED = 0
STATE_WAITING = 1
STATE_FAILED = 2

TOO_FAST = frozenset({11, 20, 33, 84, 85, 86, 87, 88})
"""Busy or over the rate. One list gives 1 to 13 the meanings of CMPP: then 8 belongs here."""

DAILY_LIMITS = frozenset({182})
"""Over the amount of the day. With one vendor 30 means it too."""

_TEXTS = {
    1: "wrong login name or password",
    2: "repeated login",
    3: "too many connections",
    4: "wrong login type",
    5: "bad parameter",
    6: "bad phone number",
    7: "bad message id",
    8: "bad length",
    9: "bad sequence number",
    10: "illegal operation",
    11: "node busy",
    13: "service code not known",
    14: "wrong fee",
    17: "LinkID does not match",
    18: "recipient has not subscribed",
    19: "only one recipient allowed",
    20: "busy",
    21: "destination not reachable for now",
    22: "wrong route",
    23: "no route",
    24: "charged number not valid",
    25: "handset cannot be reached",
    26: "handset's memory full",
    27: "handset has no SMS",
    28: "handset's error",
    29: "unknown subscriber",
    30: "function not offered",
    31: "illegal device",
    32: "system failure",
    33: "queue full or too fast",
    34: "too many logins in a minute",
    38: "too many texts for one LinkID",
    39: "payment by a third party refused",
    40: "MorelatetoMTFlag 3 refused",
    43: "order not known",
    44: "notice intercepted",
    50: "content refused",
    51: "next node not connected",
    52: "next node not logged in",
    53: "sending on failed",
    54: "no answer from the next node",
    55: "no report from the next node",
    56: "recipient's state abnormal",
    57: "login from an address that is not allowed",
    61: "validity passed",
    63: "wrong FeeType",
    64: "source address refused",
    65: "charged address refused",
    66: "destination address refused",
    67: "destination address refused",
    68: "authentication failed",
    69: "number on the blacklist",
    70: "link down",
    71: "limit of the node reached",
    72: "no route",
    73: "waiting for the answer timed out",
    76: "content security check",
    77: "too many texts to this number",
    83: "too long for the receiver",
    87: "flow control of the service platform",
    88: "too fast",
    91: "wrong ReportFlag",
    92: "wrong MorelatetoMTFlag",
    93: "node number not known",
    94: "account not known",
    101: "SPNumber not known",
    102: "SPNumber not allowed",
    103: "service code not known",
    104: "wrong fee",
    105: "wrong fee",
    106: "recipient has not subscribed",
    107: "LinkID does not match",
    108: "service suspended",
    109: "charged number not valid",
    110: "number on the blacklist",
    111: "management platform timed out",
    112: "management platform timed out",
    113: "bad format",
    114: "only one recipient allowed",
    115: "MorelatetoMTFlag refused",
    182: "amount of the day used up",
}

# The account or its set-up: no text can leave until somebody has seen to it.
_ACCOUNT = frozenset(
    {1, 2, 3, 4, 13, 14, 24, 34, 39, 40, 57, 63, 64, 65, 68, 93, 94}
    | {101, 102, 103, 104, 105, 108, 109, 115}
)
# The text or the packet: whoever it is for. All others may be for one recipient of several.
_TEXT = frozenset({7, 8, 9, 10, 17, 38, 44, 50, 61, 71, 76, 83, 91, 92, 107, 113})
_OUTCOME_UNKNOWN = frozenset({54, 55, 73})

_REASONS = {
    **dict.fromkeys((5, 6, 7, 8, 9, 17, 19, 38, 66, 67, 83, 91, 92, 107, 113, 114), Reason.FORMAT),
    **dict.fromkeys(_ACCOUNT, Reason.ACCOUNT),
    71: Reason.ACCOUNT,
    **dict.fromkeys((11, 20, 21, 32, 33, 51, 52, 53, 54, 55, 70, 73), Reason.NETWORK),
    **dict.fromkeys((84, 85, 86, 87, 88, 111, 112), Reason.NETWORK),
    25: Reason.POWERED_OFF,
    26: Reason.MEMORY_FULL,
    29: Reason.EMPTY_NUMBER,
    56: Reason.SUSPENDED,
    69: Reason.BLACKLISTED,
    110: Reason.BLACKLISTED,
    **dict.fromkeys((44, 50, 76), Reason.CONTENT_FILTER),
    **dict.fromkeys((77, 182), Reason.FREQUENCY_LIMIT),
}

# Logins that need a person; all others may succeed later.
_LOGINS_IN_VAIN = frozenset({1, 2, 4, 5, 6, 7, 8, 9, 10, 57, 68, 93, 94})

_FAILED = {
    **dict.fromkeys((44, 50, 76), ReceiptState.REJECTED),
    61: ReceiptState.EXPIRED,
    **dict.fromkeys((54, 55, 73), ReceiptState.UNKNOWN),
}
_DELIVERED = ReportMeaning(ReceiptState.DELIVERED, Reason.NONE)
_BUFFERED = ReportMeaning(ReceiptState.BUFFERED, Reason.NONE)
_UNKNOWN = ReportMeaning(ReceiptState.UNKNOWN, Reason.OTHER)


def login_meaning(result: int) -> LoginMeaning:
    """What a non-zero result of a BIND means; an unknown one may pass by itself."""
    text = _TEXTS.get(result, "the gateway's own code")
    return LoginMeaning(result not in _LOGINS_IN_VAIN, text)


def submit_meaning(
    result: int,
    *,
    recipients: int = 1,
    too_fast: AbstractSet[int] = TOO_FAST,
    daily_limits: AbstractSet[int] = DAILY_LIMITS,
) -> SubmitMeaning:
    """What the result of a SUBMIT means.

    Args:
        result: the code.
        recipients: how many the SUBMIT had; one of several may be why none was taken.
        too_fast: the codes that say so with this carrier; they come before the table.
        daily_limits: the codes for a used-up day with this carrier; likewise.
    """
    if result == OK:
        return SubmitMeaning(Outcome.ACCEPTED, Reason.NONE, "accepted")
    text = _TEXTS.get(result, "the gateway's own code")
    if result in daily_limits:
        return SubmitMeaning(Outcome.DAILY_LIMIT, Reason.FREQUENCY_LIMIT, text)
    if result in too_fast:
        return SubmitMeaning(Outcome.THROTTLED, Reason.FREQUENCY_LIMIT, text)
    outcome = _outcome(result, recipients)
    return SubmitMeaning(outcome, _REASONS.get(result, Reason.OTHER), text)


def report_meaning(state: int, error_code: int) -> ReportMeaning:
    """What a REPORT means; the error code counts only in the state "failed"."""
    if state == STATE_DELIVERED:
        return _DELIVERED
    if state == STATE_WAITING:
        return _BUFFERED
    if state != STATE_FAILED:
        return _UNKNOWN
    failed = _FAILED.get(error_code, ReceiptState.UNDELIVERED)
    return ReportMeaning(failed, _REASONS.get(error_code, Reason.OTHER))


def _outcome(result: int, recipients: int) -> Outcome:
    if result in _ACCOUNT:
        return Outcome.SUSPENDED
    if result in _OUTCOME_UNKNOWN:
        return Outcome.UNANSWERED
    if recipients > 1 and result not in _TEXT:
        return Outcome.REFUSED_LOT
    return Outcome.REJECTED
