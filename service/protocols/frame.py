"""Length-prefixed frames out of a byte stream.

All the carriers' protocols begin with 4 octets of length that count themselves. A bad length ends
the stream: it cannot be resynchronised. A frame whose length is right may still have a body that
cannot be read; the stream goes on after it.
"""

from collections.abc import Iterator
from typing import NamedTuple

from service.errors import TocsinError

LENGTH_OCTETS = 4


class Malformed(TocsinError):
    """What came is not what the protocol says it is."""

    code = "malformed"


class BadLength(Malformed):
    """A frame's length field is below the header or above the ceiling; the link must be closed."""

    code = "bad_length"


class BrokenFrame(NamedTuple):
    """A frame of the right length whose body cannot be read.

    command, sequence: as its header says. fault: what is wrong, without any of its octets.
    """

    command: int
    sequence: int
    frame: bytes
    fault: str


class Frames:
    """Cuts a stream into frames.

    minimum: the length of a bare header.
    maximum: the longest frame that makes sense; bounds the memory a peer can make us use.
    """

    def __init__(self, *, minimum: int, maximum: int) -> None:
        self._minimum = minimum
        self._maximum = maximum
        self._stream = b""
        self._at = 0

    def feed(self, data: bytes) -> None:
        """Add what came from the socket, cut anywhere."""
        self._stream = self._stream[self._at :] + data
        self._at = 0

    def __iter__(self) -> Iterator[bytes]:
        """Take every frame that is complete, length field included.

        Raises:
            BadLength: after the frames before it have been taken.
        """
        while len(self._stream) - self._at >= LENGTH_OCTETS:
            length = self._length()
            if len(self._stream) - self._at < length:
                return
            start = self._at
            self._at += length
            yield self._stream[start : self._at]

    def _length(self) -> int:
        length = int.from_bytes(self._stream[self._at : self._at + LENGTH_OCTETS], "big")
        if not self._minimum <= length <= self._maximum:
            raise BadLength(
                f"a frame claims {length} octets; {self._minimum} to {self._maximum} are possible"
            )
        return length
