"""Pictures are made anew from pixels alone, upright and small; what is none says why (E14)."""

import io
from datetime import date

import pytest
from PIL import Image
from PIL.WebPImagePlugin import WebPImageFile

from service.pictures.decoding import make_pictures
from service.pictures.model import MOST_PIXELS, REFUSALS, SIDES, PictureRefused
from service.words.phrase import translated
from tests.harness import photos
from tests.harness.photos import PLANTED, exif, laden, opened, scene, written

SEGMENTS = {0xE0, 0xDB, 0xC0, 0xC4, 0xDA}
"""All that one of our JPEGs has: JFIF, tables, frame, scan."""


def segments(jpeg: bytes) -> set[int]:
    """The markers before the pixels of a JPEG."""
    at, found = 2, set()
    while True:
        assert jpeg[at] == 0xFF
        marker = jpeg[at + 1]
        found.add(marker)
        if marker == 0xDA:
            return found
        at += 2 + int.from_bytes(jpeg[at + 2 : at + 4])


def refusal(octets: bytes) -> str:
    with pytest.raises(PictureRefused) as raised:
        make_pictures(octets)
    return raised.value.code


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_nothing_but_pixels_is_in_what_is_made(form: str) -> None:
    octets = laden(form)
    assert sum(word.encode() in octets for word in PLANTED) >= 4, "they are in the file"
    made = make_pictures(octets)
    for jpeg in made.jpegs:
        assert segments(jpeg) == SEGMENTS
        assert jpeg.endswith(b"\xff\xd9")
        for word in PLANTED:
            assert word.encode() not in jpeg
        assert not opened(jpeg).getexif()
        assert set(opened(jpeg).info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    assert made.taken_on == date(2027, 1, 13)


def test_the_decoder_of_a_webp_goes_before_its_pixels_are_made() -> None:
    """It holds all of them twice: 100 MiB of 12 megapixels."""
    with Image.open(io.BytesIO(written(scene(), "WEBP"))) as found:
        assert isinstance(found, WebPImageFile)
        assert found._decoder is not None
        found.load()
        assert found._decoder is None
        assert found.getpixel((0, 0)) is not None


def test_three_sizes_of_one_picture() -> None:
    made = make_pictures(written(scene(3_000, 2_000)))
    assert (made.width, made.height) == (1_600, 1_067)
    assert [max(opened(jpeg).size) for jpeg in made.jpegs] == list(SIDES)
    small = make_pictures(written(scene(200, 100)))
    assert [opened(jpeg).size for jpeg in small.jpegs] == [(200, 100)] * 3, "none is made larger"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_a_picture_stands_upright(orientation: int, form: str) -> None:
    upright = Image.new("RGB", (400, 200), "white")
    upright.paste("red", (0, 0, 100, 50))
    lying = {
        1: (), 2: (Image.Transpose.FLIP_LEFT_RIGHT,), 3: (Image.Transpose.ROTATE_180,),
        4: (Image.Transpose.FLIP_TOP_BOTTOM,), 5: (Image.Transpose.TRANSPOSE,),
        6: (Image.Transpose.ROTATE_90,), 7: (Image.Transpose.TRANSVERSE,),
        8: (Image.Transpose.ROTATE_270,),
    }  # fmt: skip
    for turn in lying[orientation]:
        upright = upright.transpose(turn)
    made = make_pictures(written(upright, form, exif=exif(orientation)))
    assert (made.width, made.height) == (400, 200)
    found = opened(made.jpegs[0])
    red, white = found.getpixel((20, 20)), found.getpixel((380, 180))
    assert isinstance(red, tuple)
    assert isinstance(white, tuple)
    assert red[0] > 200
    assert red[1] < 80
    assert min(white) > 240


@pytest.mark.parametrize(
    ("mode", "form"),
    [("RGBA", "PNG"), ("LA", "PNG"), ("P", "PNG"), ("L", "PNG"), ("1", "PNG"), ("I;16", "PNG"),
     ("CMYK", "JPEG"), ("L", "JPEG"), ("RGBA", "WEBP")],
)  # fmt: skip
def test_every_kind_of_pixels_is_read(mode: str, form: str) -> None:
    if mode == "I;16":
        picture = Image.new("I;16", (200, 100), 40_000)
    else:
        picture = Image.new("RGB", (200, 100), (160, 160, 160)).convert(mode)
    found = opened(make_pictures(written(picture, form)).jpegs[0])
    assert (found.mode, found.size) == ("RGB", (200, 100))
    value = found.getpixel((100, 50))
    assert isinstance(value, tuple)
    assert mode == "1" or all(abs(one - 158) < 8 for one in value), value


def test_what_is_transparent_is_white() -> None:
    clear = Image.new("RGBA", (200, 100), (255, 0, 0, 0))
    assert opened(make_pictures(written(clear, "PNG")).jpegs[0]).getpixel((50, 50)) == (
        255, 255, 255,
    )  # fmt: skip


@pytest.mark.parametrize("day", ["", "2027:13:45 00:00:00", "yesterday", "\0\0\0\0"])
def test_a_day_that_is_none_is_not_said(day: str) -> None:
    assert make_pictures(written(scene(), exif=exif(day=day))).taken_on is None


def test_exif_that_is_broken_is_no_reason_to_refuse() -> None:
    broken = b"Exif\0\0MM\0*\xff\xff\xff\xff" + b"\x01" * 40
    made = make_pictures(written(scene(), exif=broken))
    assert made.taken_on is None


@pytest.mark.parametrize(
    ("octets", "code"),
    [
        (photos.HEIC, "picture_heic"),
        (b"", "picture_format"),
        (b"GIF89a" + b"\0" * 40, "picture_format"),
        (b"%PDF-1.7\n", "picture_format"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "picture_format"),
        (written(scene(), "BMP"), "picture_format"),
        (written(scene(), "TIFF"), "picture_format"),
        (written(scene())[:-2_000], "picture_unreadable"),
        (written(scene())[:300], "picture_unreadable"),
        (written(scene(), "PNG")[:-3_000], "picture_unreadable"),
        (written(scene(), "WEBP")[:-2_000], "picture_unreadable"),
        (written(Image.new("RGB", (1, 65_000))), "picture_too_narrow"),
        (written(Image.new("RGB", (1, 100_000)), "PNG"), "picture_too_narrow"),
        (written(Image.new("RGB", (30, 30))), "picture_too_narrow"),
        (photos.png_bomb(10_000, 5_001), "picture_too_many_pixels"),
        (photos.png_bomb(60_000, 20_000), "picture_too_many_pixels"),
        (
            b"\x89PNG\r\n\x1a\n"
            + photos.png_chunk(b"IHDR", b"\x7f\xff\xff\xff" * 2 + b"\x08\x02\0\0\0")
            + photos.png_chunk(b"IDAT", b"x"),
            "picture_too_many_pixels",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_what_is_no_picture_says_why_in_both_languages(octets: bytes, code: str) -> None:
    found = refusal(octets)
    assert found == code
    for language in ("zh", "en"):
        assert translated(REFUSALS[found], language)
    assert translated(REFUSALS[found], "zh") != translated(REFUSALS[found], "en")


@pytest.mark.slow
def test_as_many_pixels_as_are_allowed_are_read() -> None:
    made = make_pictures(photos.png_bomb(10_000, MOST_PIXELS // 10_000))
    assert (made.width, made.height) == (1_600, 800)


def test_a_picture_that_is_also_something_else_is_a_picture_alone() -> None:
    archive = b"PK\x05\x06" + b"\0" * 18
    page = b"<html><script>alert('PLANTED-TAIL')</script></html>"
    as_comment = written(scene(), comment=page)
    for octets in (written(scene()) + archive, as_comment + page, written(scene(), "PNG") + page):
        for jpeg in make_pictures(octets).jpegs:
            assert b"PLANTED" not in jpeg
            assert b"PK\x05\x06" not in jpeg
            assert b"<html" not in jpeg


def test_a_mask_leaves_nothing_of_what_was_there() -> None:
    face = Image.effect_noise((300, 300), 120).convert("RGB")
    picture = Image.new("RGB", (1_600, 1_200), "white")
    picture.paste(face, (203, 307))
    kept = make_pictures(written(picture)).jpegs[0]
    box = (199, 301, 310, 313)
    made = make_pictures(kept, [box])
    for side, jpeg in zip(SIDES, made.jpegs, strict=True):
        found, share = opened(jpeg), side / 1_600
        left, top, right, bottom = (
            round(v * share) for v in (box[0] + 8, box[1] + 8, box[0] + 302, box[1] + 305)
        )
        inside = found.crop((left, top, right, bottom)).convert("L")
        assert max(inside.tobytes()) <= 24, side
    again = io.BytesIO(made.jpegs[0])
    assert Image.open(again).size == (1_600, 1_200)


def test_the_hash_of_a_picture_made_smaller_or_packed_more_is_near() -> None:
    first = make_pictures(written(scene(2_000, 1_500), quality=95)).difference_hash
    like = make_pictures(written(scene(900, 675), quality=40)).difference_hash
    other = make_pictures(written(scene(seed=5))).difference_hash
    assert ((first ^ like) & (1 << 64) - 1).bit_count() <= 2
    assert ((first ^ other) & (1 << 64) - 1).bit_count() > 12
