"""Robots of work groups, the rules (pure): their addresses, what is posted, what an answer means.

WeCom (企业微信): POST `…/cgi-bin/webhook/send?key=`, a text of at most 2,048 octets, 20 messages a
minute. DingTalk (钉钉): POST `…/robot/send?access_token=`, 20 messages a minute, past that nothing
for ten minutes; signed, if the robot says so: `timestamp` in milliseconds and `sign`, the base64 of
HMAC-SHA256 of the timestamp, a line feed and the secret, under the secret, within an hour. Both
answer HTTP 200 and `errcode`, 0 for success. The key of either is in the address: it is a secret.
"""

import base64
import hmac
import json
from datetime import timedelta
from enum import StrEnum
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import parse_qs, urlencode, urlsplit

from service.errors import Invalid
from service.words.phrase import phrase


class RobotKind(StrEnum):
    """Whose robot it is."""

    WECOM = "wecom"
    DINGTALK = "dingtalk"


class RobotNotice(StrEnum):
    """Of what a group can be told: the notices of campaigns that persons get as well, and of units:
    reminders of duties, steps of late ones, who is late with what the department asks for, and that
    a relay began.
    """

    APPROVAL = "approval"
    RETURNED = "returned"
    PAUSED = "paused"
    LEG = "leg"
    REMINDER = "reminder"
    LATE = "late"
    LATE_LIST = "late_list"
    RELAY = "relay"


PATHS = {RobotKind.WECOM: "/webhook/send", RobotKind.DINGTALK: "/robot/send"}
"""How the path of an address ends; the host may be that of an installation of an office's own."""
KEYS = {RobotKind.WECOM: "key", RobotKind.DINGTALK: "access_token"}
"""What the key in an address is called."""
RESTS = {RobotKind.WECOM: timedelta(minutes=1), RobotKind.DINGTALK: timedelta(minutes=10)}
"""How long a robot that had too much is posted nothing."""
A_MINUTE = 20
"""So many messages one robot takes in a minute."""
MOST_OCTETS = 2_048
"""Of a text."""

_TOO_FAST = {RobotKind.WECOM: frozenset({45009}), RobotKind.DINGTALK: frozenset({130101, 410100})}
_BUSY = -1
_SECURITY = 310000
_KNOWN = {
    (RobotKind.WECOM, 93000): "93000: there is no such robot any more, or its address is wrong",
    (RobotKind.WECOM, 40008): "40008: this kind of message is not taken",
    (RobotKind.DINGTALK, _SECURITY): "310000: wrong signature, or a keyword or network is missing",
    (RobotKind.DINGTALK, 400101): "400101: there is no such robot any more",
    (RobotKind.DINGTALK, 400102): "400102: the robot is switched off",
}


class PostFate(StrEnum):
    """What became of an attempt."""

    SENT = "sent"
    LATER = "later"
    TOO_FAST = "too_fast"
    REFUSED = "refused"
    UNCERTAIN = "uncertain"


class PostAttempt(NamedTuple):
    """What an attempt came to, and why; without address or key."""

    fate: PostFate
    error: str = ""


def check_address(kind: RobotKind, address: str, secret: str | None) -> None:
    """Refuse what is no address of such a robot.

    Raises:
        Invalid: it is not over HTTPS, has another path, or no key; or WeCom's has a secret.
    """
    parts = urlsplit(address)
    try:
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        port_is_fine = False
    if parts.scheme != "https" or not parts.hostname or parts.username or not port_is_fine:
        raise Invalid.at(
            "address", phrase("give the robot's address as the group shows it: https://…")
        )
    name = KEYS[kind]
    keys = parse_qs(parts.query).get(name, [])
    if not parts.path.endswith(PATHS[kind]) or len(keys) != 1 or parts.fragment:
        raise Invalid.at(
            "address",
            phrase(
                "an address of this kind of robot ends in {path}?{name}=…; copy it from the group",
                path=PATHS[kind],
                name=name,
            ),
        )
    if secret is not None and kind is RobotKind.WECOM:
        raise Invalid.at("secret", phrase("robots of WeCom do not sign; leave it out"))


def masked_address(kind: RobotKind, address: str) -> str:
    """Where it goes, with the last four signs of its key alone."""
    parts = urlsplit(address)
    key = parse_qs(parts.query)[KEYS[kind]][0]
    return f"{parts.hostname}…{key[-4:] if len(key) >= 12 else ''}"


def signed_address(address: str, secret: str | None, milliseconds: int) -> str:
    """The address of a request made now; signed, if there is a secret."""
    if secret is None:
        return address
    said = f"{milliseconds}\n{secret}".encode()
    sign = base64.b64encode(hmac.digest(secret.encode(), said, sha256)).decode()
    return f"{address}&{urlencode({'timestamp': milliseconds, 'sign': sign})}"


def body_of_post(text: str) -> bytes:
    """The JSON of a text, cut where a robot takes no more."""
    octets = text.encode()[:MOST_OCTETS]
    said = {"msgtype": "text", "text": {"content": octets.decode(errors="ignore")}}
    return json.dumps(said, ensure_ascii=False).encode()


def read_answer(kind: RobotKind, status: int, body: bytes) -> PostAttempt:
    """What an answer means. Whatever is no answer of a robot may have been posted."""
    if status != 200:
        fate = PostFate.UNCERTAIN
        if 400 <= status < 500:
            fate = PostFate.TOO_FAST if status == 429 else PostFate.REFUSED
        return PostAttempt(fate, f"HTTP {status}")
    try:
        code = json.loads(body)["errcode"]
    except (ValueError, KeyError, TypeError, RecursionError):
        code = None
    if not isinstance(code, int) or isinstance(code, bool):
        return PostAttempt(PostFate.UNCERTAIN, "the answer is none of a robot")
    return _meaning(kind, code)


def _meaning(kind: RobotKind, code: int) -> PostAttempt:
    if code == 0:
        return PostAttempt(PostFate.SENT)
    if code in _TOO_FAST[kind]:
        return PostAttempt(PostFate.TOO_FAST, f"{code}: too many messages in a minute")
    if code == _BUSY:
        return PostAttempt(PostFate.LATER, "-1: busy")
    return PostAttempt(PostFate.REFUSED, _KNOWN.get((kind, code), f"{code}: not taken"))
