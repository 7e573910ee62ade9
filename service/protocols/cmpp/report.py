"""The state report inside a DELIVER: QB-GF-028-2003 §8.4.3.

60 octets in 2.0 and 71 in 3.0, where the number is wider. Stacks confuse the two, so a block is
read by offset, whatever the version and the length.
"""

import struct
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from service.protocols.cmpp.packet import read_text, repeated_text, write_text
from service.protocols.cmpp.version import V20, V30
from service.protocols.times import BEIJING

NUMBER_OCTETS_20 = V20.terminal_octets
NUMBER_OCTETS_30 = V30.terminal_octets

_HEAD = struct.Struct(">Q7s10s10s")
_OCTETS_20 = _HEAD.size + NUMBER_OCTETS_20 + 4


@dataclass(slots=True)
class Report:
    """What became of one submitted part."""

    msg_id: int  # 8, of the submit
    stat: str  # 7
    submit_time: str  # 10, YYMMDDhhmm
    done_time: str  # 10
    dest_terminal_id: str  # 21 or 32
    smsc_sequence: int = 0  # 4

    def encode(self, *, number_octets: int = NUMBER_OCTETS_30) -> bytes:
        """The block in 71 octets, or in 60 with a number of 21."""
        head = _HEAD.pack(
            self.msg_id,
            write_text(self.stat, 7),
            write_text(self.submit_time, 10),
            write_text(self.done_time, 10),
        )
        number = write_text(self.dest_terminal_id, number_octets)
        return head + number + self.smsc_sequence.to_bytes(4, "big")


def parse_report(content: bytes) -> Report | None:
    """Read a report block; None if not even its id and status are there."""
    if len(content) < _HEAD.size:
        return None
    msg_id, stat, submit_time, done_time = _HEAD.unpack_from(content)
    width = NUMBER_OCTETS_20 if len(content) <= _OCTETS_20 else NUMBER_OCTETS_30
    end = _HEAD.size + width
    return Report(
        msg_id,
        repeated_text(stat),
        repeated_text(submit_time),
        repeated_text(done_time),
        read_text(content[_HEAD.size : end]),
        int.from_bytes(content[end : end + 4], "big"),
    )


@lru_cache(maxsize=1024)  # the reports of one minute say the same
def read_minute(text: str) -> datetime | None:
    """A YYMMDDhhmm Beijing time; longer ones are cut, what makes no sense is None."""
    digits = text[:10]
    if not (len(digits) == 10 and digits.isascii() and digits.isdecimal()):
        return None
    year, month, day, hour, minute = (int(digits[at : at + 2]) for at in range(0, 10, 2))
    try:
        local = datetime(2000 + year, month, day, hour, minute, tzinfo=BEIJING)
    except ValueError:
        return None
    return local.astimezone(UTC)


def write_minute(at: datetime) -> str:
    """An instant as a YYMMDDhhmm Beijing time."""
    local = at.astimezone(BEIJING)
    fields = local.year % 100, local.month, local.day, local.hour, local.minute
    return "".join(f"{field:02d}" for field in fields)


@lru_cache(maxsize=1024)  # all texts of a run have the same
def write_validity(until: datetime) -> str:
    """The absolute form of ValId_Time, `YYMMDDhhmmss032+` with tenths: Beijing is 32 quarters."""
    return until.astimezone(BEIJING).strftime("%y%m%d%H%M%S") + "032+"
