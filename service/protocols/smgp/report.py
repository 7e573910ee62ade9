"""The status report inside a Deliver: 122 octets of key words and values at fixed offsets.

It looks like text and is none: the id in it is 10 raw octets. The key words differ by stack
(`Submit date:`, `submit date:`, `submit_date:`), their lengths do not, so it is read by offset.
"""

import re
import struct
from dataclasses import dataclass

from service.protocols.smgp.packet import read_text, write_text
from service.protocols.smgp.pdu import MSG_ID_OCTETS

_LAYOUT = struct.Struct(">3s10s5s3s7s3s13s10s11s10s6s7s5s3s6s20s")
_TEXT_OCTETS = 17
_ID = b"id:"
_STAT = b" stat:"
_STAT_AT = 75
_STAT_END = 88
_HEX_ID = re.compile(rb"[0-9A-Fa-f]{20}")
_HEX_SHIFT = 10


@dataclass(slots=True)
class Report:
    """What became of one submitted part."""

    msg_id: bytes  # 10, of the submit
    stat: str  # 7
    err: str = "000"  # 3
    submit_date: str = ""  # 10, YYMMDDhhmm
    done_date: str = ""  # 10
    sub: str = "001"  # 3
    dlvrd: str = "001"  # 3
    text: bytes = b""  # up to 17 of the message's own octets, after their number in 3 digits

    def encode(self) -> bytes:
        """The content, with the key words as the specification prints them."""
        return _LAYOUT.pack(
            _ID,
            self.msg_id,
            b" sub:",
            write_text(self.sub, 3),
            b" dlvrd:",
            write_text(self.dlvrd, 3),
            b" Submit date:",
            write_text(self.submit_date, 10),
            b" done date:",
            write_text(self.done_date, 10),
            _STAT,
            write_text(self.stat, 7),
            b" err:",
            write_text(self.err, 3),
            b" Text:",
            b"%03d%b" % (len(self.text), self.text[:_TEXT_OCTETS]) if self.text else b"",
        )


def parse_report(content: bytes) -> Report | None:
    """Read a report; None if its id or its status cannot be found.

    An id written as 20 hex digits moves all that follows by 10 octets. A content may end anywhere
    after the status.
    """
    at = content.lower().find(_STAT, len(_ID) + MSG_ID_OCTETS)
    shift = at - _STAT_AT
    if not content.startswith(_ID) or at < 0 or len(content) < _STAT_END + shift:
        return None

    def field(start: int, octets: int) -> str:
        start = max(start + shift, 0)
        return read_text(content[start : start + octets])

    return Report(
        msg_id=_msg_id(content, shift),
        stat=field(81, 7),
        err=field(93, 3),
        submit_date=field(44, 10),
        done_date=field(65, 10),
        sub=field(18, 3),
        dlvrd=field(28, 3),
        text=_text(content[102 + shift :]),
    )


def _msg_id(content: bytes, shift: int) -> bytes:
    start = len(_ID)
    digits = content[start : start + 2 * MSG_ID_OCTETS]
    if shift == _HEX_SHIFT and _HEX_ID.fullmatch(digits):
        return bytes.fromhex(digits.decode("ascii"))
    return content[start : start + MSG_ID_OCTETS]


def _text(octets: bytes) -> bytes:
    count, text = octets[:3], octets[3 : 3 + _TEXT_OCTETS]
    return text[: int(count)] if count.isdigit() else b""
