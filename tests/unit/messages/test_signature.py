"""The signature goes where the contract puts it, and what the carrier adds never makes a part too
long.
"""

from functools import partial
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.coding import udh
from service.coding.parts import Coding, Part, decode, split
from service.messages.signature import LONGEST, SignMode, Split, place, split_signed

SIGNATURE = "【旌德县公安局】"
BODY = "先做小任务返小钱、再让垫付大单的，都是刷单诈骗。"
TEXT = SIGNATURE + BODY
MODES: tuple[SignMode, ...] = get_args(SignMode)
UCS2 = partial(split, coding=Coding.UCS2)


def read(parts: tuple[Part, ...]) -> str:
    return "".join(decode(part.body, part.coding) for part in parts)


def texts(parts: tuple[Part, ...]) -> list[str]:
    return [decode(part.body, part.coding) for part in parts]


@pytest.mark.parametrize(
    ("mode", "written"),
    [
        ("ours_head", SIGNATURE + BODY),
        ("ours_tail", BODY + SIGNATURE),
        ("carrier_head", BODY),
        ("carrier_tail", BODY),
    ],
)
def test_the_signature_goes_where_the_contract_puts_it(mode: SignMode, written: str) -> None:
    assert place(TEXT, mode) == written
    for counts in (True, False):
        assert read(split_signed(TEXT, UCS2, mode, counts=counts)) == written


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "text", ["", "没有签名的短信。", "【】空", "【" + "长" * 31 + "】", "正文【x】"]
)
def test_a_text_without_a_signature_stays_as_it_is(mode: SignMode, text: str) -> None:
    assert place(text, mode) == text
    assert split_signed(text, UCS2, mode, counts=True) == UCS2(text)


def test_only_the_first_brackets_are_the_signature() -> None:
    assert place("【甲局】请看【乙局】", "ours_tail") == "请看【乙局】【甲局】"
    assert place("【甲局】  请看", "carrier_head") == "请看"


@pytest.mark.parametrize("mode", ["carrier_head", "carrier_tail"])
def test_one_that_counts_takes_room_without_being_there(mode: SignMode) -> None:
    text = SIGNATURE + "国" * 63  # 71 characters with it, 63 without
    assert len(split_signed(text, UCS2, mode, counts=True)) == 2
    assert texts(split_signed(text, UCS2, mode, counts=False)) == ["国" * 63]
    assert len(split_signed(SIGNATURE + "国" * 62, UCS2, mode, counts=True)) == 1


def test_the_head_is_left_out_of_the_first_part() -> None:
    parts = split_signed(SIGNATURE + "国" * 120, UCS2, "carrier_head", counts=True)
    assert texts(parts) == ["国" * 59, "国" * 61]
    assert [(part.number, part.total) for part in parts] == [(1, 2), (2, 2)]


@pytest.mark.parametrize(
    ("characters", "parts"),
    [
        (62, [62]),
        (63, [62, 1]),  # the cut falls into the signature: 4 of its characters, then 4
        (66, [65, 1]),
        (67, [66, 1]),  # right before it
        (68, [67, 1]),
        (126, [67, 59]),
        (127, [67, 59, 1]),
        (134, [67, 66, 1]),
    ],
)
def test_the_tail_is_left_whole_to_the_last_part(characters: int, parts: list[int]) -> None:
    cut = split_signed(SIGNATURE + "国" * characters, UCS2, "carrier_tail", counts=True)
    assert [len(text) for text in texts(cut)] == parts
    assert {part.total for part in cut} == {len(parts)}


def test_one_that_counts_decides_the_coding_too() -> None:
    """A text of ASCII under a Chinese signature: what the handset gets is Chinese."""
    either = partial(split, allow_ascii=True)
    (part,) = split_signed(SIGNATURE + "Call 96110", either, "carrier_head", counts=True)
    assert (part.coding, part.body) == (Coding.UCS2, "Call 96110".encode("utf-16-be"))
    (part,) = split_signed(SIGNATURE + "Call 96110", either, "carrier_head", counts=False)
    assert (part.coding, part.body) == (Coding.ASCII, b"Call 96110")


def test_what_the_coding_lacks_is_measured_as_it_travels() -> None:
    narrow = partial(split, coding=Coding.LATIN1)
    (part,) = split_signed("【甲】Call 96110", narrow, "carrier_tail", counts=True)
    assert part.body == b"Call 96110"


def room(part: Part) -> int:
    """The octets that a part may have, in the codings that fill 140."""
    return 140 if part.total == 1 else 140 - udh.OCTETS


characters = st.characters(exclude_categories=["Cs"], exclude_characters="【】")


@given(
    name=st.text(characters, min_size=1, max_size=LONGEST),
    body=st.text(st.one_of(st.sampled_from("国a🀄€\u00e9"), characters), min_size=1, max_size=320),
    mode=st.sampled_from(["carrier_head", "carrier_tail"]),
    coding=st.sampled_from([Coding.UCS2, Coding.GB18030]),
)
def test_what_the_carrier_adds_always_fits(
    name: str, body: str, mode: SignMode, coding: Coding
) -> None:
    signature, body = f"【{name}】", body.lstrip() or "国"
    cut: Split = partial(split, coding=coding)
    parts = split_signed(signature + body, cut, mode, counts=True)
    assert read(parts) == body  # nothing is lost, no character is cut
    added = sum(len(part.body) for part in cut(signature))
    carrying = parts[0] if mode == "carrier_head" else parts[-1]
    assert len(carrying.body) + added <= room(carrying)
    assert all(0 < len(part.body) <= room(part) for part in parts)
    assert [part.number for part in parts] == list(range(1, parts[0].total + 1))
    whole = signature + body if mode == "carrier_head" else body + signature
    assert len(parts) == len(cut(whole))
