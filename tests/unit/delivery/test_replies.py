"""What our answers say: one part under the longest name, and nothing that lint would block."""

import pytest

from service.coding.parts import split
from service.delivery.inbound.keywords import InboundKind, read
from service.delivery.inbound.replies import CONFIRMS, reply_texts
from service.messages.lint.lint import lint
from service.messages.lint.lint_form import LONGEST_SIGNATURE
from service.messages.signature import head

LONGEST = f"【{'旌' * LONGEST_SIGNATURE}】"


KINDS = [
    *("checked_like", "checked_like_no_links", "checked_nothing", "checked_ours"),
    *("checked_unknown", "clue_received", "notices_confirmed", "opt_out_confirmed"),
]
SAID = {"department": "旌德县反诈中心", "days": "11月20日至11月22日"}


def said(kind: str) -> str:
    """What is said, with its values."""
    return LONGEST + reply_texts()[kind].format(**SAID)


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_is_one_part_and_may_be_sent(kind: str) -> None:
    text = said(kind)
    assert head(text) == LONGEST
    assert len(split(text)) == 1
    assert {finding["level"] for finding in lint(text)} <= {"warn"}


def test_every_kind_has_its_words_and_only_they() -> None:
    assert sorted(reply_texts()) == KINDS
    assert set(CONFIRMS) <= set(reply_texts())


@pytest.mark.attack
@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_that_comes_back_as_an_echo_causes_no_other(kind: str) -> None:
    """What is no opt-out and no clue owes no answer."""
    assert read(said(kind)).kind is InboundKind.OTHER


def test_a_confirmation_says_what_ends_and_what_does_not() -> None:
    for kind in CONFIRMS:
        text = reply_texts()[kind]
        assert "已退订本地公益短信" in text
        assert "紧急预警除外" in text
        assert ("工作通知" in text) == (kind == "notices_confirmed")
