from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.coding import udh
from service.coding.parts import Coding, Part, count, decode, fits, split
from service.errors import Invalid
from tests.harness.vectors import load

SPLITS = load("cmpp", "split")["cases"]
COUNTED = load("parts", "segments")["cases"]

# Emoji and rare hanzi are surrogate pairs in UCS-2 and four octets in GB18030.
characters = st.characters() | st.sampled_from("警钟🔔𠮷éA\ud83d")
texts = st.text(characters, max_size=400)


def joined(parts: tuple[Part, ...]) -> str:
    return "".join(decode(part.body, part.coding) for part in parts)


def sendable(text: str) -> str:
    return text.encode("utf-16-be", "replace").decode("utf-16-be")


@given(texts, st.sampled_from([Coding.UCS2, Coding.GB18030, Coding.GBK]))
def test_parts_join_to_the_text_and_keep_within_the_limits(text: str, coding: Coding) -> None:
    parts = split(text, coding=coding)
    assert joined(parts) == sendable(text)
    limit = 140 if len(parts) == 1 else 134
    assert all(len(part.body) <= limit for part in parts)
    assert [part.number for part in parts] == list(range(1, len(parts) + 1))
    assert {part.total for part in parts} == {len(parts)}


@given(st.text(st.characters(max_codepoint=0x7F), max_size=1000), st.sampled_from([134, 153]))
def test_ascii_parts_join_to_the_text(text: str, ascii_part: int) -> None:
    parts = split(text, allow_ascii=True, ascii_part=ascii_part)
    assert joined(parts) == text
    assert {part.coding for part in parts} == {Coding.ASCII}
    limit = ascii_part + 6 if len(parts) == 1 else ascii_part
    assert all(len(part.body) <= limit for part in parts)


@given(st.integers(min_value=60, max_value=140))
def test_no_surrogate_pair_is_cut(pairs: int) -> None:
    for part in split("a" + "🔔" * pairs):
        part.body.decode("utf-16-be")


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("", {}, (Coding.UCS2, 1)),
        ("警" * 70, {}, (Coding.UCS2, 1)),
        ("警" * 71, {}, (Coding.UCS2, 2)),
        ("警" * 134, {}, (Coding.UCS2, 2)),
        ("警" * 135, {}, (Coding.UCS2, 3)),
        ("🔔" * 35, {}, (Coding.UCS2, 1)),
        ("🔔" * 67, {}, (Coding.UCS2, 3)),
        ("plain text", {}, (Coding.UCS2, 1)),
        ("x" * 159, {"allow_ascii": True}, (Coding.ASCII, 1)),
        ("x" * 160, {"allow_ascii": True}, (Coding.ASCII, 2)),
        ("x" * 141, {"allow_ascii": True, "ascii_part": 134}, (Coding.ASCII, 2)),
        ("x警", {"allow_ascii": True}, (Coding.UCS2, 1)),
        ("警" * 71, {"coding": Coding.GB18030}, (Coding.GB18030, 2)),
        ("警" * 70, {"coding": Coding.GB18030}, (Coding.GB18030, 1)),
    ],
)
def test_count(text: str, options: dict[str, Any], expected: tuple[Coding, int]) -> None:
    assert count(text, **options) == expected


def test_a_text_beyond_255_parts_is_refused() -> None:
    assert len(split("警" * 67 * 255)) == 255
    with pytest.raises(Invalid, match="256 parts"):
        split("警" * (67 * 255 + 1))


@pytest.mark.parametrize("case", SPLITS, ids=lambda case: f"{case['coding']}-{case['chars']}")
def test_parts_are_those_of_an_independent_splitter(case: dict[str, Any]) -> None:
    coding = Coding[case["coding"]]
    contents = [bytes.fromhex(part["content_hex"]) for part in case["parts"]]
    bodies = [
        udh.parse(c)[1] if p["tp_udhi"] else c for c, p in zip(contents, case["parts"], strict=True)
    ]
    parts = split("".join(decode(body, coding) for body in bodies), allow_ascii=True)
    assert [part.coding for part in parts] == [coding] * len(parts)
    assert [(part.number, part.total) for part in parts] == [
        (expected["pk_number"], expected["pk_total"]) for expected in case["parts"]
    ]
    assert [header(part, contents[0][3]) + part.body for part in parts] == contents


def header(part: Part, reference: int) -> bytes:
    return udh.build(reference, part.total, part.number) if part.total > 1 else b""


def test_parts_are_counted_as_a_foreign_calculator_counts_them() -> None:
    """Recorded; `make interop` compares ten thousand texts with the calculator itself."""
    assert len(COUNTED) >= 250
    for case in COUNTED:
        gsm = fits(case["text"], Coding.GSM7)
        assert ("GSM-7" if gsm else "UCS-2") == case["coding"], case
        coding = Coding.GSM7 if gsm else Coding.UCS2
        assert count(case["text"], coding=coding)[1] == case["parts"], case
