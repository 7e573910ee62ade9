"""How each kind of channel would cut a text: coding, parts, and whether it fits."""

from dataclasses import fields
from typing import Any

import pytest

from service.channels.contract.model import Channel
from service.channels.trial.split_preview import Cutter
from service.clock import Clock
from tests.factories import channel_settings as settings

SIGNED = "【旌德县公安局】"  # 8 characters
CHINESE_70, CHINESE_71 = SIGNED + "字" * 62, SIGNED + "字" * 63
CHINESE_134, CHINESE_135 = SIGNED + "字" * 126, SIGNED + "字" * 127
GSM = {"allow_default_alphabet": True, "default_alphabet": "gsm7"}
NO_ROOM = {"signature": "carrier_head", "signature_counts": False}
TAIL = "拒收请回复R"


def cutter(kind: str, own: dict[str, Any], contract: dict[str, Any]) -> Cutter:
    way = settings(kind, "1065720001234" if kind != "twilio" else "+19790000006", own, **contract)
    values = {field.name: getattr(way, field.name) for field in fields(way)}
    return Cutter(Channel(id=7, requires_filing=False, **values), Clock())


# kind, its settings, its contract, text; encoding, parts, submits, whether it fits
CASES: list[tuple[str, dict[str, Any], dict[str, Any], str, str | None, int | None, int | None]] = [
    ("cmpp", {}, {}, CHINESE_70, "UCS2", 1, 1),
    ("cmpp", {}, {}, CHINESE_71, "UCS2", 2, 2),
    ("cmpp", {}, {}, CHINESE_134, "UCS2", 2, 2),
    ("cmpp", {}, {}, CHINESE_135, "UCS2", 3, 3),
    ("sgip", {}, {}, CHINESE_71, "UCS2", 2, 2),
    ("smgp", {}, {}, CHINESE_71, "UCS2", 2, 2),
    # The opt-out words count as they are written.
    ("cmpp", {}, {}, SIGNED + "字" * 56 + TAIL, "UCS2", 1, 1),
    ("cmpp", {}, {}, SIGNED + "字" * 57 + TAIL, "UCS2", 2, 2),
    # A signature that the carrier adds takes room, or not.
    ("cmpp", {}, {"signature": "carrier_head"}, CHINESE_71, "UCS2", 2, 2),
    ("cmpp", {}, {"signature": "carrier_tail"}, CHINESE_71, "UCS2", 2, 2),
    ("cmpp", {}, {"signature": "ours_tail"}, CHINESE_71, "UCS2", 2, 2),
    ("cmpp", {}, NO_ROOM, CHINESE_71, "UCS2", 1, 1),
    # A character outside the BMP counts two, and is never cut.
    ("cmpp", {}, {}, SIGNED + "𬭎" * 31, "UCS2", 1, 1),
    ("cmpp", {}, {}, SIGNED + "𬭎" * 32, "UCS2", 2, 2),
    ("cmpp", {}, {}, SIGNED + "字" * 58 + "𬭎" * 10 + "字" * 48, "UCS2", 3, 3),
    # 【】 makes an English text UCS-2, unless the carrier adds the signature and takes no room.
    ("smpp", GSM, {}, SIGNED + "a" * 62, "UCS2", 1, 1),
    ("smpp", GSM, {}, SIGNED + "a" * 63, "UCS2", 2, 2),
    ("smpp", GSM, NO_ROOM, SIGNED + "a" * 160, "GSM7", 1, 1),
    ("smpp", GSM, NO_ROOM, SIGNED + "a" * 161, "GSM7", 2, 2),
    ("smpp", GSM, NO_ROOM, SIGNED + "a" * 306, "GSM7", 2, 2),
    ("smpp", GSM, NO_ROOM, SIGNED + "a" * 307, "GSM7", 3, 3),
    ("smpp", GSM, NO_ROOM, SIGNED + "€" * 80, "GSM7", 1, 1),
    ("smpp", GSM, NO_ROOM, SIGNED + "€" * 81, "GSM7", 2, 2),
    ("smpp", GSM, NO_ROOM, SIGNED + "a" * 70 + "ж", "UCS2", 2, 2),
    ("smpp", {}, {}, CHINESE_71, "UCS2", 2, 2),
    ("cmpp", {"allow_ascii": True}, NO_ROOM, SIGNED + "a" * 159, "ASCII", 1, 1),
    # What leaves whole is cut by others, into as many parts.
    ("smpp", {"long_text": "payload"}, {}, CHINESE_135, "UCS2", 3, 1),
    ("twilio", {}, {}, CHINESE_135, "UCS2", 3, 1),
    ("http", {}, {}, CHINESE_135, "UCS2", 3, 1),
    ("http", {}, NO_ROOM, CHINESE_71, "UCS2", 1, 1),
    ("http", {}, {"signature": "carrier_head"}, CHINESE_71, "UCS2", 2, 1),
    # Three parts at most, and no more than a provider takes.
    ("cmpp", {}, {}, SIGNED + "字" * 193, "UCS2", 3, 3),
    ("cmpp", {}, {}, SIGNED + "字" * 194, "UCS2", 4, 4),
    ("http", {}, {}, SIGNED + "字" * 194, "UCS2", 4, 1),
    ("http", {"most_characters": 70}, {}, CHINESE_71, None, None, None),
]


@pytest.mark.parametrize(("kind", "own", "contract", "text", "encoding", "parts", "submits"), CASES)
async def test_a_text_on_a_channel(
    kind: str,
    own: dict[str, Any],
    contract: dict[str, Any],
    text: str,
    encoding: str | None,
    parts: int | None,
    submits: int | None,
) -> None:
    cut = cutter(kind, own, contract).cut(text)
    assert (cut.channel_id, cut.channel) == (7, "移动")
    assert (cut.encoding, cut.parts, cut.submits) == (encoding, parts, submits)
    assert cut.fits == (parts is not None and parts <= 3)
    assert cut.fits == (cut.problem is None)


async def test_a_text_that_does_not_fit_has_a_sentence_that_says_why() -> None:
    long = cutter("cmpp", {}, {}).cut(SIGNED + "字" * 194)
    assert long.problem == "the text has 4 parts here; shorten it to at most 3"
    refused = cutter("http", {"most_characters": 70}, {}).cut(CHINESE_71)
    assert refused.problem is not None
    assert "the provider takes 70" in refused.problem
