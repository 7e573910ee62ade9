"""What pictures of a report are: how large, what is refused, and what is made of one."""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

from service.words.phrase import Phrase, phrase

MOST_PIXELS = 50_000_000
MOST_OCTETS = 15 * 1024 * 1024
SIDES = (1_600, 800, 320)
"""The longer side of each picture that is made, the largest first."""
LEAST_SIDE = 64
"""The shorter side of the largest: whatever is narrower shows nothing."""

Box = Sequence[int]
"""x, y, width and height in pixels, from the upper left corner."""


class PictureRefused(Exception):
    """A picture that is not taken. code: why, as `REFUSALS` has it."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


REFUSALS: dict[str, Phrase] = {
    "picture_heic": phrase(
        "this is a HEIC picture, which cannot be read here; set the phone's camera to JPEG (iPhone:"
        " Settings, Camera, Formats, Most Compatible), or send the picture as JPEG"
    ),
    "picture_format": phrase("this is no JPEG, PNG or WebP picture; save it as JPEG and send that"),
    "picture_too_many_pixels": phrase(
        "the picture has more than {most:,} pixels; make it smaller and send that",
        most=MOST_PIXELS,
    ),
    "picture_unreadable": phrase(
        "the picture is damaged or cut off; open it on the phone, save it anew and send that"
    ),
    "picture_too_narrow": phrase(
        "the picture is too small or too narrow to show anything; send one whose shorter side has"
        " at least {least} pixels, and that is at most 25 times as long as wide",
        least=LEAST_SIDE,
    ),
    "picture_too_costly": phrase(
        "the picture cannot be read with the memory and time that one may take; save it as JPEG"
        " and send that"
    ),
}
"""Why a picture is not taken, by code."""


class MadePictures(NamedTuple):
    """Pictures of our own, and what is known of the one they were made from.

    jpegs: one of each of `SIDES`. width, height: of the largest. difference_hash: 64 bits, signed.
    taken_on: the day that the file says, for whoever asks; it is not kept.
    """

    jpegs: list[bytes]
    width: int
    height: int
    difference_hash: int
    taken_on: date | None
