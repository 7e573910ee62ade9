"""Frames with a broken inside, over TCP, against live sessions: a fixed number of them, every run.

`make fuzz` is the long form.
"""

from random import Random
from typing import Any

import pytest

from service.channels.contract.gateway import Delivery
from service.protocols.frame import Malformed
from service.protocols.session import Session
from service.protocols.stream import StreamGateway
from tests.fuzz.live import CarrierEnd, End, GatewayEnd, Violation, ends
from tests.fuzz.targets import PROTOCOLS, seeds

BATCHES = 30
ENDS = [
    (protocol, number)
    for protocol in PROTOCOLS
    for number, _ in enumerate(ends(protocol, seeds(protocol), Random(0)))
]


def end_of(protocol: str, number: int) -> End:
    return ends(protocol, seeds(protocol), Random(f"7:{protocol}"))[number]


@pytest.mark.parametrize(("protocol", "number"), ENDS)
async def test_no_link_is_lost_and_nothing_acknowledged_is_dropped(
    protocol: str, number: int
) -> None:
    end = end_of(protocol, number)
    await fire(end)
    await end.close()
    assert end.asked == end.answered > 0


async def fire(end: End) -> None:
    for _ in range(BATCHES):
        await end.batch()


async def fails(end: End, words: str) -> None:
    with pytest.raises(Violation, match=words):
        await fire(end)
    await end.close()


@pytest.mark.parametrize("end", [GatewayEnd, CarrierEnd])
async def test_a_link_that_is_closed_over_a_body_is_found(
    end: type[End], monkeypatch: pytest.MonkeyPatch
) -> None:
    def take(session: Session, frame: bytes) -> None:
        try:
            session.received(frame)
        except Malformed as error:
            session.fail(error)

    monkeypatch.setattr(Session, "_take", take)
    await fails(end("cmpp", seeds("cmpp"), Random(7)), "the link was closed")


async def test_what_is_acknowledged_and_not_kept_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    store = StreamGateway._store

    def forget(gateway: StreamGateway[Any], item: Delivery, answer: Any) -> None:
        if gateway.link.frame[-1] % 2:
            answer()
        else:
            store(gateway, item, answer)

    monkeypatch.setattr(StreamGateway, "_store", forget)
    await fails(GatewayEnd("smgp", seeds("smgp"), Random(7)), "were answered")


async def test_what_is_never_answered_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fuzz.live.PATIENCE_SECONDS", 0.5)
    monkeypatch.setattr(StreamGateway, "keep", lambda *_: None)
    await fails(GatewayEnd("smgp", seeds("smgp"), Random(7)), "an answer never came")
