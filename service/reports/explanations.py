"""What a message's state and reason mean, in a sentence that anybody understands (pure).

For whoever is asked "did my text arrive?"; the words promise nothing that the ledger does not know:
only a receipt says that a text has arrived. The words of a reason are those of `ledger.reasons`.
"""

from collections.abc import Mapping
from datetime import datetime

from service.clock import day_in_china
from service.ledger.reasons import SUPPRESSIONS, Place, Reason, words_of
from service.ledger.states import MessageState as S
from service.words.phrase import Sentence

STATES: Mapping[S, Sentence] = {
    S.QUEUED: Sentence("还在排队，尚未发出", "It waits and has not left yet"),
    S.SUBMITTING: Sentence("正在交给运营商", "It is being handed to the carrier"),
    S.SUBMITTED: Sentence(
        "运营商已接收，还没有回执", "The carrier has taken it; whether it arrived is not known yet"
    ),
    S.DELIVERED: Sentence("已送达手机", "It has arrived on the handset"),
    S.UNDELIVERED: Sentence("未送达", "It did not arrive"),
    S.EXPIRED: Sentence("在有效期内未能送达", "It could not be delivered while it was valid"),
    S.REJECTED: Sentence("运营商拒收", "The carrier refused it"),
    S.UNKNOWN: Sentence(
        "72 小时内没有回执，是否送达不明",
        "No receipt came in 72 hours; whether it arrived is unknown",
    ),
    S.UNCERTAIN: Sentence(
        "可能已发出，但运营商没有应答，正在核对；不会自动重发",
        "It may have left, but the carrier did not answer; it is being checked, and not sent again",
    ),
    S.SUPPRESSED: Sentence("发出前被拦下", "It was stopped before it left"),
    S.CANCELLED: Sentence("发出前已取消", "It was cancelled before it left"),
}

LEFT_OUT = "left_out"
"""Instead of a state: whom a broadcast meant, and who has no row in its ledger."""

_LEFT_OUT = Sentence("没有列入这次发送", "The person was left out of this broadcast")


def explain(state: str, reason: str | None, waits: Sentence | None = None) -> Sentence:
    """What became of a text, or that there is none (`LEFT_OUT`), and why.

    waits: of one that is queued, what it waits for.
    """
    said = _LEFT_OUT if state == LEFT_OUT else STATES[S(state)]
    if waits is not None:
        return Sentence(f"{said.zh}：{waits.zh}。", f"{said.en}: {waits.en}.")
    if not reason or reason in Reason.at(Place.SILENCE):  # these are what the state says
        return Sentence(f"{said.zh}。", f"{said.en}.")
    why = words_of(reason)
    return Sentence(f"{said.zh}：{why.zh}。", f"{said.en}: {why.en}.")


def explain_stop(reason: str, since: datetime, until: datetime | None) -> Sentence:
    """Why nothing is sent to a number, since when, and until when if that is known."""
    zh, en = (words.format(since=day_in_china(since)) for words in SUPPRESSIONS[Reason(reason)])
    if until is None:
        return Sentence(f"{zh}。", f"{en}.")
    day = day_in_china(until)
    return Sentence(f"{zh}，至 {day} 止。", f"{en}, until {day}.")
