"""Every code that the ledger, an exclusion or a suppression can hold has a sentence, twice."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

import service
from service.audience.suppressions.suppression import REASONS as STOPPING
from service.channels.contract.outcome import Reason
from service.delivery.uncertain import statement_import, uncertain
from service.dispatch.direct import direct_send, direct_store
from service.dispatch.limits import caps
from service.dispatch.value_check import ValueRefused
from service.ledger.states import MessageState
from service.reports import explanations

FOLDER = Path(service.__file__).parent
WRITERS = [
    path
    for part in ("dispatch", "delivery", "campaigns", "privacy")
    for path in sorted((FOLDER / part).rglob("*.py"))
]
CODE = re.compile(r"""(?:\breason = |THEN |ELSE |cancel_reason, )'([a-z_]+)'""")
IN_PYTHON = re.compile(
    r"""reason, code = "\w+", "([a-z_]+)"|_mark_rows\([^)"]*"([a-z_]+)"|return "([a-z_]+)"$""",
    re.MULTILINE,
)
NO_REASONS = {
    *MessageState,
    *("running", "paused", "scheduled", "sent", "held", "expanding", "draft", "open", "closed"),
    *("waiting", "stopped", "passed", "moved_on", "in_doubt", "without_message", "reply"),
    *("opt_out_confirmed", "notices_confirmed"),
    *(
        "real",
        "drill",
        "person",
        "answered",
        "not_asked",
        "send",
        "outside_key",
    ),  # the last: answered, not stored
}
"""Words that the same SQL says of something else."""


def stored() -> set[str]:
    """The codes that the code writes: constants, and what stands in SQL."""
    found = {reason.value for reason in Reason if reason.value} | set(STOPPING)
    found |= {caps.CAPPED, uncertain.DECIDED, statement_import.STATEMENT}
    found |= {direct_store.CANCELLED_BY_SENDER, *direct_send.LEFT_OUT, ValueRefused.reason}
    for path in WRITERS:
        found |= set(CODE.findall(path.read_text("utf-8")))
    for name in (
        "dispatch/handoff/recorder.py",
        "dispatch/handoff/sender.py",
        "dispatch/expansion/expand.py",
        "campaigns/audience/available_channels.py",
    ):
        for groups in re.findall(IN_PYTHON, (FOLDER / name).read_text("utf-8")):
            found |= set(filter(None, groups))
    return found - NO_REASONS


def test_every_code_that_can_be_stored_has_words() -> None:
    codes = stored()
    assert {"no_receipt", "no_answer", "erased", "same_text", "not_kept"} <= codes
    assert {"cannot_be_composed", "class_not_allowed", "no_longer_listed"} <= codes
    assert not codes - set(explanations.REASONS) - explanations.SAID_BY_STATE


def test_every_state_and_every_stop_has_words() -> None:
    assert set(explanations.STATES) == set(MessageState)
    assert set(explanations.STOPS) == set(STOPPING)
    for sentence in (
        *explanations.STATES.values(),
        *explanations.REASONS.values(),
        *explanations.STOPS.values(),
    ):
        assert re.search(r"[一-鿿]", sentence.zh), sentence
        assert re.fullmatch(r"[ -~—]+", sentence.en), sentence


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
            "The person was left out of this broadcast: "
            + explanations.REASONS["no_area"].en
            + ".",
        ),
    ],
)
def test_what_became_of_a_text_reads_well(state: str, reason: str | None, zh: str, en: str) -> None:
    assert explanations.explain(state, reason) == (zh, en)


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
