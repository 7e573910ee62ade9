"""What SMGP's codes mean: the Status of answers, and the stat and err of a report.

Sources: the status and report tables of SMGP 3.0.3; of the codes beyond them only those that lists
of several vendors give. Values from 128 on are the vendor's own. Unknown ones are `other`, and the
raw code is always kept beside the meaning.
"""

from collections.abc import Collection

from service.channels.contract.outcome import Outcome, ReceiptState
from service.ledger.reasons import Reason
from service.protocols.carrier_codes import LoginMeaning, ReportMeaning, SubmitMeaning

STATUS_OK = 0
STATUS_BUSY = 1
STATUS_TOO_MANY_CONNECTIONS = 2
STATUS_BAD_STRUCTURE = 10
STATUS_BAD_COMMAND = 11
STATUS_AUTHENTICATION_FAILED = 21
STATUS_VERSION_TOO_HIGH = 22
STATUS_BAD_LENGTH = 36
STATUS_BAD_SOURCE = 46
STATUS_BAD_DESTINATION = 47
STATUS_NOT_NOW = 74
STATUS_DAILY_AMOUNT = 75
STATUS_ACCOUNT_EXPIRED = 76

TOO_FAST = (STATUS_BUSY, STATUS_TOO_MANY_CONNECTIONS)
"""SMGP has no code for a rate; these say that the gateway cannot take more for now."""

_TEXTS = {
    1: "system busy",
    2: "too many connections",
    10: "bad structure",
    11: "bad command",
    12: "repeated sequence number",
    20: "this IP address is not allowed",
    21: "account and secret do not match",
    22: "protocol version 3.0 is not supported there",
    30: "bad MsgType",
    31: "bad Priority",
    32: "bad FeeType",
    33: "bad FeeCode",
    34: "bad MsgFormat",
    35: "bad time format",
    36: "bad MsgLength",
    37: "validity passed",
    38: "bad QueryType",
    39: "routing error",
    40: "bad FixedFee",
    41: "bad UpdateType",
    42: "bad RouteId",
    43: "bad ServiceID",
    44: "bad ValidTime",
    45: "bad AtTime",
    46: "bad SrcTermID",
    47: "bad DestTermID",
    48: "bad ChargeTermID",
    49: "bad SP code",
    58: "no route",
    69: "bad SP enterprise code",
    73: "bad MServiceID",
    74: "the account may not send at this hour",
    75: "the account's daily amount is used up",
    76: "the account has expired",
}

_ACCEPTED = SubmitMeaning(Outcome.ACCEPTED, Reason.NONE, "accepted")
_FOR_GOOD_AT_LOGIN = frozenset({10, 11, 12, 20, 21, 22, 49, 69, 76})
_SUSPENDED = frozenset({20, 21, 22, STATUS_NOT_NOW, STATUS_ACCOUNT_EXPIRED})
_OF_ONE_RECIPIENT = frozenset({39, STATUS_BAD_DESTINATION, 58})
_REASONS = {
    **dict.fromkeys((10, 11, 12, 30, 31, 34, 35, 36, 44, 45, 47), Reason.FORMAT),
    **dict.fromkeys((20, 21, 22, 32, 33, 40, 43, 46, 48, 49, 69, 73, 74, 76), Reason.ACCOUNT),
}

_STATES = {
    "DELIVRD": ReceiptState.DELIVERED,
    "ACCEPTD": ReceiptState.BUFFERED,
    "ENROUTE": ReceiptState.BUFFERED,
    "EXPIRED": ReceiptState.EXPIRED,
    "DELETED": ReceiptState.UNDELIVERED,
    "UNDELIV": ReceiptState.UNDELIVERED,
    "UNKNOWN": ReceiptState.UNKNOWN,
    "REJECTD": ReceiptState.REJECTED,
}

# What a status means where its err says nothing more.
_STAT_REASONS = {
    "EXPIRED": Reason.POWERED_OFF,
    "REJECTD": Reason.REJECTED,
}

# 003 (no such part at the terminal) and 004 (illegal user) say nothing sure of the number: `other`.
_ERR_REASONS = {
    "001": Reason.POWERED_OFF,
    "005": Reason.BLACKLISTED,
    "006": Reason.NETWORK,
    "007": Reason.MEMORY_FULL,
    "009": Reason.NETWORK,
    "010": Reason.NETWORK,
    "601": Reason.BLACKLISTED,
    "640": Reason.EMPTY_NUMBER,
    "908": Reason.FREQUENCY_LIMIT,
}

# Words that the gateways of other carriers and of platforms put in the place of the stat: a text to
# a ported number, for one, fails in another network.
_FOREIGN_STATS = {
    **dict.fromkeys(("MK:0001", "MI:0059", "CB:0001"), Reason.EMPTY_NUMBER),
    **dict.fromkeys(("MK:0005", "MK:0013", "CB:0005"), Reason.SUSPENDED),
    **dict.fromkeys(("MK:0010", "MI:0024"), Reason.POWERED_OFF),
    **dict.fromkeys(("MI:0208", "NE:0103"), Reason.MEMORY_FULL),
    **dict.fromkeys(("NP:1243", "MB:1049", "NE:0106"), Reason.PORTED),
    **dict.fromkeys(("MBBLACK", "TDBLACK", "CR:0201"), Reason.BLACKLISTED),
    **dict.fromkeys(("KEYWORD", "CR:0200"), Reason.CONTENT_FILTER),
    "CR:0202": Reason.FREQUENCY_LIMIT,
}
_NO_ERR = frozenset({"", "000", "0"})


def login_meaning(status: int) -> LoginMeaning:
    """What a non-zero status of a Login_Resp means."""
    return LoginMeaning(status not in _FOR_GOOD_AT_LOGIN, _text(status))


def submit_meaning(
    status: int, *, recipients: int = 1, too_fast: Collection[int] = TOO_FAST
) -> SubmitMeaning:
    """What the status of a Submit_Resp means.

    recipients: of the submit; what one of several may be to blame for refuses the lot.
    too_fast: the codes by which the carrier says that it was sent too much.
    """
    if status == STATUS_OK:
        return _ACCEPTED
    text = _text(status)
    if status in too_fast:
        return SubmitMeaning(Outcome.THROTTLED, Reason.FREQUENCY_LIMIT, text)
    if status == STATUS_DAILY_AMOUNT:
        return SubmitMeaning(Outcome.DAILY_LIMIT, Reason.FREQUENCY_LIMIT, text)
    reason = _REASONS.get(status, Reason.OTHER)
    if status in _SUSPENDED:
        return SubmitMeaning(Outcome.SUSPENDED, reason, text)
    lot = recipients > 1 and status in _OF_ONE_RECIPIENT
    return SubmitMeaning(Outcome.REFUSED_LOT if lot else Outcome.REJECTED, reason, text)


def report_meaning(stat: str, err: str) -> ReportMeaning:
    """What the stat and err of a report mean; an unknown stat is a failure for reasons of its own.

    Some gateways put the code into the stat and leave the err at zeros.
    """
    state = _STATES.get(stat, ReceiptState.UNDELIVERED)
    if state in {ReceiptState.DELIVERED, ReceiptState.BUFFERED}:
        return ReportMeaning(state, Reason.NONE)
    code = stat if stat not in _STATES and err in _NO_ERR else err
    reason = _ERR_REASONS.get(code) or _FOREIGN_STATS.get(stat) or _STAT_REASONS.get(stat)
    return ReportMeaning(state, reason or Reason.OTHER)


def report_code(stat: str, err: str) -> str:
    """The code of a report as it is kept: `DELIVRD`, or with what its err adds, `UNDELIV:003`."""
    return stat if err in _NO_ERR else f"{stat}:{err}"


def _text(status: int) -> str:
    return _TEXTS.get(status, "the gateway's own code")
