"""What became of a text, in a sentence of Chinese and of English."""

import re
from datetime import UTC, datetime

import pytest

from service.ledger.reasons import SUPPRESSIONS, Place, Reason
from service.ledger.states import MessageState
from service.reports import explanations


def test_every_state_has_words() -> None:
    assert set(explanations.STATES) == set(MessageState)
    for sentence in explanations.STATES.values():
        assert re.search(r"[一-鿿]", sentence.zh), sentence
        assert re.fullmatch(r"[ -~—]+", sentence.en), sentence


@pytest.mark.parametrize("reason", list(filter(None, Reason)))
def test_a_reason_is_said_after_the_state_unless_the_state_says_it(reason: Reason) -> None:
    said = explanations.explain("undelivered", reason.value)
    if reason.places & Place.SILENCE:
        assert said == ("未送达。", "It did not arrive.")
    else:
        assert said == (f"未送达：{reason.words.zh}。", f"It did not arrive: {reason.words.en}.")


@pytest.mark.parametrize(
    ("state", "reason", "zh", "en"),
    [
        ("delivered", None, "已送达手机。", "It has arrived on the handset."),
        (
            *("undelivered", "powered_off", "未送达：手机关机或不在服务区。"),
            "It did not arrive: the handset is off or out of reach.",
        ),
        (
            *("unknown", "no_receipt", "72 小时内没有回执，是否送达不明。"),
            "No receipt came in 72 hours; whether it arrived is unknown.",
        ),
        (
            *("left_out", "no_area", "没有列入这次发送：名单里没有所需的区域。"),
            "The person was left out of this broadcast: " + Reason.NO_AREA.words.en + ".",
        ),
        (
            *("suppressed", "of_another_version", "发出前被拦下：of_another_version。"),
            "It was stopped before it left: of_another_version.",
        ),
    ],
)
def test_what_became_of_a_text_reads_well(state: str, reason: str | None, zh: str, en: str) -> None:
    assert explanations.explain(state, reason) == (zh, en)


@pytest.mark.parametrize("reason", list(SUPPRESSIONS))
def test_every_suppression_says_since_when(reason: Reason) -> None:
    said = explanations.explain_stop(reason.value, datetime(2027, 1, 11, 17, tzinfo=UTC), None)
    assert all("2027-01-12" in sentence for sentence in said)


def test_a_stop_says_since_when_and_until_when_by_the_day_in_china() -> None:
    since = datetime(2027, 1, 11, 17, tzinfo=UTC)
    assert explanations.explain_stop("opted_out", since, None) == (
        "本人于 2027-01-12 退订。",
        "The person has refused such texts since 2027-01-12.",
    )
    until = datetime(2027, 7, 11, 1, tzinfo=UTC)
    assert explanations.explain_stop("dead_number", since, until).zh == (
        "号码自 2027-01-12 起按空号停发，至 2027-07-11 止。"
    )
