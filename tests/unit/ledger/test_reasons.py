"""The registry of reasons: each has its words, in two languages, and somebody gives it.

That no statement writes another code is proved by every test with a database: see
`tests.harness.reasons`.
"""

import re
from typing import get_args

import pytest

from service.api.audience.suppressions import SuppressionReason
from service.campaigns.audience.newcomer_store import PASSING
from service.ledger.reasons import OUTSIDE_TARGET, SUPPRESSIONS, Place, Reason, Wait
from service.words.phrase import Sentence

REASONS = list(filter(None, Reason))
CHINESE = re.compile(r"[一-鿿]")
ENGLISH = re.compile(r"[ -~—]+")


@pytest.mark.parametrize("member", [*REASONS, *Wait])
def test_each_has_a_sentence_in_chinese_and_in_english(member: Reason | Wait) -> None:
    _look_at(member.words)
    assert ("{until}" in member.words.zh) == ("{until}" in member.words.en)
    assert not member.words.zh.endswith("。")
    assert not member.words.en.endswith(".")


@pytest.mark.parametrize("reason", REASONS)
def test_each_reason_has_a_label_and_a_place(reason: Reason) -> None:
    assert CHINESE.search(reason.label)
    assert reason.places


def test_no_code_stands_twice() -> None:
    assert len(Reason.__members__) == len(list(Reason))
    assert len(Wait.__members__) == len(list(Wait))


def test_the_reasons_of_a_suppression_are_those_of_the_api_and_stop_everywhere() -> None:
    assert list(get_args(SuppressionReason)) == list(SUPPRESSIONS)
    for reason, stop in SUPPRESSIONS.items():
        _look_at(stop)
        assert all("{since}" in words for words in stop)
        assert reason.places == OUTSIDE_TARGET | Place.HANDOFF
        assert not reason.passing


def test_who_is_left_out_for_what_passes_is_tried_at_the_next_fire() -> None:
    assert {*PASSING} == {
        *("no_route", "capped", "same_text", "class_not_allowed", "signature_of_another")
    }


def _look_at(sentence: Sentence) -> None:
    assert CHINESE.search(sentence.zh), sentence
    assert ENGLISH.fullmatch(sentence.en), sentence
