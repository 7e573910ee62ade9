"""What a handset's text says, in whichever coding a carrier hands it on: frames over TCP."""

from collections.abc import Callable
from typing import Any

import pytest

from service.coding.data_coding import Alphabet, alphabet
from service.protocols.cmpp import pdu as cmpp
from service.protocols.sgip import pdu as sgip
from service.protocols.smgp import pdu as smgp
from tests.harness.cmpp import CMPP
from tests.harness.protocols import rows
from tests.harness.scripted import Protocol, submissions
from tests.harness.sgip import SGIP

HANDSET, NUMBER = "19790001234", "106900001234"
WIDE = "退订".encode("utf-16-be")


@rows(
    "deliver",
    {
        "cmpp": [lambda coding, octets: cmpp.Deliver(1, NUMBER, HANDSET, octets, msg_fmt=coding)],
        "sgip": [
            lambda coding, octets: sgip.Deliver(
                f"86{HANDSET}", NUMBER, octets, message_coding=coding
            )
        ],
        "smgp": [
            lambda coding, octets: smgp.Deliver(
                bytes(10), HANDSET, NUMBER, octets, msg_format=coding
            )
        ],
    },
    but={"smpp": "its codings are a list of their own: tests/unit/protocols/test_smpp_coding.py"},
)
async def test_a_text_is_read_by_the_bits_of_its_coding(
    protocol: Protocol, deliver: Callable[[int, bytes], Any]
) -> None:
    async with protocol.opened() as (_, peer, store):

        async def hear(coding: int, octets: bytes) -> str:
            peer.write(protocol.number(1), deliver(coding, octets))
            return (await store.inbound()).text

        for coding in (8, 9, 11, 24, 25, 26, 27, 72, 88, 0xE0, 0xE3):
            assert await hear(coding, WIDE) == "退订", coding
        for coding in (0, 1, 16, 17, 64, 0xC0, 0xD0, 0xF0, 0xF1):
            assert await hear(coding, b"TD") == "TD", coding
        for coding in (3, 4, 5, 20, 21, 0x34, 0x38, 0xF4, 246):
            assert await hear(coding, b"\x01\xff") == "01ff", coding
        assert await hear(15, "退订㐂".encode("gb18030")) == "退订㐂"


def test_each_of_the_256_values_has_the_alphabet_of_its_group() -> None:
    """TS 23.038 §4, group by group; the reserved ones are read like the general ones."""
    by_bits = (Alphabet.DEFAULT, Alphabet.OCTETS, Alphabet.UCS2, Alphabet.DEFAULT)
    for value in range(256):
        bits = by_bits[value >> 2 & 3]
        if value < 0x80:
            expected = Alphabet.OCTETS if value & 0x20 else bits
        elif value < 0xC0:
            expected = bits
        elif value < 0xE0:
            expected = Alphabet.DEFAULT
        elif value < 0xF0:
            expected = Alphabet.UCS2
        else:
            expected = Alphabet.OCTETS if value & 4 else Alphabet.DEFAULT
        assert alphabet(value) is expected, f"{value:#x}"


@pytest.mark.parametrize(
    ("text", "coding", "octets"),
    [
        ("警惕诈骗", 15, "警惕诈骗".encode("gbk")),
        ("㐂先生，警惕诈骗", 8, "㐂先生，警惕诈骗".encode("utf-16-be")),  # of GB18030 alone
        ("警惕诈骗🔔", 8, "警惕诈骗🔔".encode("utf-16-be")),
        ("警" * 71, 15, None),
        ("㐂" * 71, 8, None),
    ],
)
async def test_what_gbk_lacks_leaves_as_ucs2(text: str, coding: int, octets: bytes | None) -> None:
    """Each part of a text travels in the same coding."""
    for protocol, setting, name, content in (
        (SGIP, {"message_coding": 15}, "message_coding", "message_content"),
        (CMPP, {"coding": "gbk"}, "msg_fmt", "msg_content"),
    ):
        async with protocol.opened(**setting) as (gateway, peer, _):
            gateway.submit(submissions(gateway, text))
            for _ in gateway.split(text):
                _, submit = await peer.read()
                assert getattr(submit, name) == coding
                assert octets in {None, getattr(submit, content)}
