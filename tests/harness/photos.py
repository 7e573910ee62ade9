"""Photographs as phones make them, and files that look like one, for tests of pictures."""

import io
import os
import struct
import zlib
from typing import Any
from uuid import UUID

from aiohttp import FormData
from PIL import ExifTags, Image, PngImagePlugin

from service.pictures import picture_store
from service.pictures.picture_store import NewPicture
from service.storage.postgres import transaction
from tests.integration.api.conftest import Answer, Api

PLANTED = ("PLANTED-MAKE", "PLANTED-GPS", "PLANTED-XMP", "PLANTED-COMMENT", "PLANTED-TAIL",
           "PLANTED-TEXT", "PLANTED-ICC", "PLANTED-THUMB")  # fmt: skip
"""Words that stand in `laden` pictures beside their pixels."""
XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>PLANTED-XMP</x:xmpmeta>"
TAIL = b"PK\x03\x04PLANTED-TAIL<script>alert(1)</script>"


def scene(width: int = 1_000, height: int = 750, seed: int = 0) -> Image.Image:
    """Something to see: areas of other brightness, by a seed."""
    small = Image.new("L", (9, 8))
    small.putdata([(seed * 7919 + n * n * 131 + n * 37 * (seed + 3)) % 251 for n in range(72)])
    return small.resize((width, height), Image.Resampling.BICUBIC).convert("RGB")


def written(picture: Image.Image, form: str = "JPEG", **more: Any) -> bytes:
    """A picture as a file."""
    out = io.BytesIO()
    picture.save(out, form, **more)
    return out.getvalue()


def exif(orientation: int = 1, day: str = "2027:01:13 10:11:12") -> bytes:
    """What a phone says of a picture: its make, where it was, when, which side is up."""
    found = Image.Exif()
    found[ExifTags.Base.Make] = "PLANTED-MAKE"
    found[ExifTags.Base.Orientation] = orientation
    found.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = day
    place = found.get_ifd(ExifTags.IFD.GPSInfo)
    place[ExifTags.GPS.GPSLatitude] = (30.0, 17.0, 11.0)
    place[ExifTags.GPS.GPSAreaInformation] = b"PLANTED-GPS"
    return found.tobytes()


def laden(form: str = "JPEG", day: str = "2027:01:13 10:11:12", seed: int = 0) -> bytes:
    """A picture with all that must not survive: place, make, XMP, comment, colour profile,
    thumbnail, and something behind its end.
    """
    more: dict[str, Any] = {"exif": exif(day=day), "icc_profile": b"PLANTED-ICC" * 20}
    if form == "PNG":
        told = PngImagePlugin.PngInfo()
        told.add_text("Comment", "PLANTED-TEXT")
        told.add_itxt("XML:com.adobe.xmp", XMP.decode())
        return written(scene(seed=seed), form, pnginfo=told, **more) + TAIL
    if form == "WEBP":
        return written(scene(seed=seed), form, xmp=XMP, quality=90, **more) + TAIL
    octets = written(scene(seed=seed), form, comment=b"PLANTED-COMMENT", xmp=XMP, **more)
    thumbnail = b"JFXX\0\x10" + written(scene(64, 48)) + b"PLANTED-THUMB"
    segment = b"\xff\xe0" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    return octets[:2] + segment + octets[2:] + TAIL


def png_chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk of a PNG."""
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def png_bomb(width: int, height: int) -> bytes:
    """A PNG of a few kilobytes whose pixels are as many as its head says."""
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    packer = zlib.compressobj(9)
    line = b"\0" * (width + 1)
    rows = [packer.compress(line) for _ in range(height)]
    packed = b"".join(rows) + packer.flush()
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", head)
        + png_chunk(b"IDAT", packed)
        + png_chunk(b"IEND", b"")
    )


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 200


def form_of(octets: bytes, name: str = "现场.jpg", **fields: str) -> FormData:
    """The form of an upload."""
    form = FormData(quote_fields=False)
    form.add_field("file", io.BytesIO(octets), filename=name, content_type="image/jpeg")
    for field, value in fields.items():
        form.add_field(field, value)
    return form


async def send_photo(
    api: Api, who: tuple[str, str], octets: bytes | None = None, **fields: str
) -> Answer:
    """Send a picture; a plain one unless another is given."""
    form = form_of(octets or written(scene()), **fields)
    return await api.call("POST", "/evidence", who, data=form)


async def photo(api: Api, who: tuple[str, str], seed: int = 0, **fields: str) -> str:
    """The id of a picture that was sent."""
    answer = await send_photo(api, who, written(scene(seed=seed)), **fields)
    assert answer.status == 201, answer.body
    found: str = answer.json["id"]
    return found


async def add_photo(api: Api, team: str = "county") -> UUID:
    """A picture that the operator of a department has sent; returns its id."""
    whose, keyring = api.teams[team], api.runtime.keyring
    ciphers = [
        keyring.encrypt_bytes("picture", written(scene(side, side))) for side in (96, 80, 64)
    ]
    async with transaction(api.runtime.pool) as conn:
        return await picture_store.insert_picture(
            conn,
            NewPicture(
                whose.department_id, None, whose.operator.id, api.clock.at, 96, 96, 1, b"0" * 32,
                os.urandom(16), int.from_bytes(os.urandom(7)), None, *ciphers,
            ),
        )  # fmt: skip


async def prepare_photos(api: Api) -> dict[str, list[dict[str, str]]]:
    """What each operation that changes a picture needs."""
    return {
        f"picture_id of {name}": [{"picture_id": str(await add_photo(api))} for _ in range(3)]
        for name in ("mask_picture", "delete_picture")
    }


def opened(octets: bytes) -> Image.Image:
    """A JPEG that came back, checked to be nothing else."""
    found = Image.open(io.BytesIO(octets), formats=["JPEG"])
    found.load()
    return found
