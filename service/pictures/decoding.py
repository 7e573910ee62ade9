"""A picture of others into pictures of our own, from pixels alone: the one door to Pillow.

Runs in a process of its own (`picture_process`). Of what a file has beside its pixels two things
are looked at: which side is up, and the day on which it was taken. Nothing of it is written.
"""

import io
import struct
import warnings
from collections.abc import Sequence
from datetime import date

from PIL import ExifTags, Image, ImageDraw, ImageFile, UnidentifiedImageError
from PIL.WebPImagePlugin import WebPImageFile, _accept

from service.pictures.model import LEAST_SIDE, MOST_PIXELS, SIDES, Box, MadePictures, PictureRefused

FORMATS = ("JPEG", "PNG", "WEBP")
QUALITY = 85
_HASH_SIDE = 8

_HEIC = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")
_UPRIGHT = {
    2: (Image.Transpose.FLIP_LEFT_RIGHT,),
    3: (Image.Transpose.ROTATE_180,),
    4: (Image.Transpose.FLIP_TOP_BOTTOM,),
    5: (Image.Transpose.TRANSPOSE,),
    6: (Image.Transpose.ROTATE_270,),
    7: (Image.Transpose.TRANSVERSE,),
    8: (Image.Transpose.ROTATE_90,),
}
"""What turns a picture upright, by its value of Orientation (Exif 2.3, tag 0x0112)."""
_UNREADABLE = (
    OSError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    OverflowError,
    ZeroDivisionError,
    SyntaxError,
    EOFError,
    struct.error,
)
"""What Pillow raises at what is none."""


class _FirstFrame(WebPImageFile):
    """A WebP whose decoder goes before its pixels are made: the decoder holds all of them twice."""

    def load_prepare(self) -> None:
        self._decoder = None
        super().load_prepare()


Image.register_open(WebPImageFile.format, _FirstFrame, _accept)


def make_pictures(octets: bytes, boxes: Sequence[Box] = ()) -> MadePictures:
    """Pictures of our own from a file. boxes: what of it nobody is to see, in its own pixels.

    Raises:
        PictureRefused: it is none that is taken.
    """
    warnings.simplefilter("ignore")  # of what a file says of itself
    Image.MAX_IMAGE_PIXELS = MOST_PIXELS
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        with Image.open(io.BytesIO(octets), formats=FORMATS) as opened:
            if opened.width * opened.height > MOST_PIXELS:
                raise PictureRefused("picture_too_many_pixels")
            orientation, taken_on = _told(opened)
            pixels = _pixels(opened, boxes)
    except Image.DecompressionBombError:
        raise PictureRefused("picture_too_many_pixels") from None
    except UnidentifiedImageError:
        raise PictureRefused(_unknown(octets)) from None
    except _UNREADABLE:
        raise PictureRefused("picture_unreadable") from None
    for turn in _UPRIGHT.get(orientation, ()):
        pixels = pixels.transpose(turn)
    if min(pixels.size) < LEAST_SIDE:
        raise PictureRefused("picture_too_narrow")
    jpegs, made = [], pixels
    for side in SIDES:
        made = _scaled(made, side)
        jpegs.append(_jpeg(made))
    return MadePictures(jpegs, *pixels.size, _difference_hash(made), taken_on)


def _unknown(octets: bytes) -> str:
    is_heic = octets[4:8] == b"ftyp" and octets[8:12] in _HEIC
    return "picture_heic" if is_heic else "picture_format"


def _told(opened: Image.Image) -> tuple[int, date | None]:
    """Which side is up, and the day on which it was taken, if the file says that in a form that
    can be read.
    """
    try:
        exif = opened.getexif()
        orientation = exif.get(ExifTags.Base.Orientation, 1)
        inner = exif.get_ifd(ExifTags.IFD.Exif)
        said = inner.get(ExifTags.Base.DateTimeOriginal) or exif.get(ExifTags.Base.DateTime)
    except _UNREADABLE:
        return 1, None
    try:
        year, month, day = str(said)[:10].split(":")
        taken_on = date(int(year), int(month), int(day))
    except ValueError:
        taken_on = None
    return orientation if isinstance(orientation, int) else 1, taken_on


def _pixels(opened: Image.Image, boxes: Sequence[Box]) -> Image.Image:
    """The pixels in RGB at most so large as is kept, on white where the file is transparent."""
    if not boxes:
        opened.draft("RGB", _fitting(opened.size, SIDES[0]))  # a large JPEG is decoded in part
    found: Image.Image = opened
    if found.mode.startswith("I;16") or found.mode in {"I", "F"}:
        found = found.convert("I").point(lambda value: value / 256).convert("L")
    has_alpha = found.mode in {"LA", "PA", "RGBA", "La", "RGBa"} or "transparency" in found.info
    mode = "RGBA" if has_alpha else "RGB"
    found = _scaled(found if found.mode == mode else found.convert(mode), SIDES[0])
    plain = Image.new("RGB", found.size, "white")
    plain.paste(found, mask=found.getchannel("A") if has_alpha else None)
    pen = ImageDraw.Draw(plain)
    for x, y, width, height in boxes:
        pen.rectangle((x, y, x + width - 1, y + height - 1), fill="black")
    return plain


def _fitting(size: tuple[int, int], side: int) -> tuple[int, int]:
    """A size of the same shape whose longer side is at most this."""
    width, height = size
    longer = max(side, width, height)
    return max(1, round(width * side / longer)), max(1, round(height * side / longer))


def _scaled(picture: Image.Image, side: int) -> Image.Image:
    if max(picture.size) <= side:
        return picture
    size = _fitting(picture.size, side)
    return picture.resize(size, Image.Resampling.BICUBIC, reducing_gap=1.25)


def _jpeg(pixels: Image.Image) -> bytes:
    """A JPEG with nothing in it but these pixels."""
    out = io.BytesIO()
    pixels.save(out, "JPEG", quality=QUALITY)
    return out.getvalue()


def _difference_hash(pixels: Image.Image) -> int:
    """64 bits: whether each of 8 × 8 places is brighter than the one to its left; signed, as the
    database has it.
    """
    small = pixels.convert("L").resize((_HASH_SIDE + 1, _HASH_SIDE), Image.Resampling.BOX)
    values = small.tobytes()
    bits = 0
    for row in range(_HASH_SIDE):
        at = row * (_HASH_SIDE + 1)
        for column in range(_HASH_SIDE):
            bits = bits << 1 | (values[at + column + 1] > values[at + column])
    return bits - (1 << 64) if bits >= 1 << 63 else bits
