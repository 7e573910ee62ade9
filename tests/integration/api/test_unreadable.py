"""What a carrier hands on and nobody can read: from its socket into the list, and who sees it."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from service.api.system import metrics
from service.clock import Clock
from service.delivery.receipts.inbox import Inbox
from service.gateways.cmpp import CMPPGateway
from service.protocols.cmpp.pdu import Deliver, DeliverResp, encode
from tests.harness.cmpp import settings
from tests.harness.ledger import add_channel
from tests.harness.metrics import figures
from tests.harness.session import PATIENCE_SECONDS, Peer, carrier
from tests.harness.stage import wakes_nobody
from tests.integration.api.conftest import Api

ADMIN, OPERATOR, VIEWER = ("county", "admin"), ("county", "operator"), ("county", "viewer")
SCHOOL = ("school", "admin")
WHY = {"reason": "the carrier asks for the frame"}
HANDSET = "19790001234"


def broken(sequence: int, msg_id: int = 77) -> bytes:
    """A DELIVER that says that its text has 200 octets, and has four."""
    frame = encode(sequence, Deliver(msg_id, "106900001234", HANDSET, b"TDTD"))
    at = frame.index(b"TDTD")
    return frame[: at - 1] + b"\xc8" + frame[at:]


@asynccontextmanager
async def connected(api: Api, channel_id: int) -> AsyncIterator[Peer]:
    """The carrier's end of a channel whose deliveries are really stored."""
    runtime = api.runtime
    clock = Clock(api.clock.at, anchor=0.0, speed=0.0)
    inbox = Inbox(runtime.pool, runtime.keyring, clock, wakes_nobody)
    storing = asyncio.create_task(inbox.run())
    async with carrier() as scripted:
        gateway = CMPPGateway(settings(scripted.port), inbox.deliver_for(channel_id), clock)
        opening = asyncio.create_task(gateway.open())
        peer = await scripted.peer()
        await peer.accept_login()
        await opening
        yield peer
        peer.writer.transport.abort()
        await asyncio.wait_for(gateway.lost.wait(), PATIENCE_SECONDS)
    storing.cancel()
    await asyncio.gather(storing, return_exceptions=True)


@pytest.fixture
async def kept(api: Api) -> list[dict[str, Any]]:
    """One that has come three times, and a report without a report."""
    async with api.runtime.pool.acquire() as conn:
        channel = await add_channel(conn, api.runtime.keyring, 7890, api.clock.at)
    async with connected(api, channel.id) as peer:
        for sequence in (1, 2, 3):
            peer.writer.write(broken(sequence))
            assert await peer.read() == (sequence, DeliverResp(77, 4))
        peer.write(4, Deliver(78, "106900001234", HANDSET, b"", registered_delivery=1))
        assert await peer.read() == (4, DeliverResp(78, 0))
    items: list[dict[str, Any]] = (await api.get("/receipts/unmatched", ADMIN)).json["items"]
    return items


async def test_it_is_listed_once_however_often_it_comes(
    api: Api, kept: list[dict[str, Any]]
) -> None:
    first, second = kept
    assert (first["why"], first["reason"], first["copies"]) == ("unreadable", "broken_length", 3)
    assert first["octets"] == len(broken(1))
    assert (second["why"], second["reason"], second["copies"]) == (
        *("unreadable", "broken_report", 1),
    )
    for item in kept:
        assert (item["phone"], item["messages"], item["ref"], item["code"]) == (None, [], "", "")
    chosen = (await api.get("/receipts/unmatched?why=unreadable", ADMIN)).json["items"]
    assert chosen == kept
    assert (await api.get("/receipts/unmatched", SCHOOL)).json["items"] == []


@pytest.mark.attack
async def test_no_number_stands_in_the_list_the_export_or_the_database(
    api: Api, kept: list[dict[str, Any]]
) -> None:
    listed = await api.get("/receipts/unmatched", ADMIN)
    export = await api.get("/receipts/unmatched/export", ADMIN)
    rows = list(csv.DictReader(io.StringIO(export.body.decode("utf-8-sig"))))
    assert [(row["why"], row["octets"], row["copies"]) for row in rows] == [
        ("unreadable", str(item["octets"]), str(item["copies"])) for item in kept
    ]
    stored = await api.runtime.pool.fetchval(
        "SELECT string_agg(x::text, '') FROM receipts_unmatched x"
    )
    for text in (listed.body.decode(), export.body.decode(), stored):
        for form in (HANDSET, HANDSET.encode().hex(), HANDSET[3:]):
            assert form not in text


@pytest.mark.attack
async def test_its_octets_are_seen_for_a_reason_by_whom_may_unmask(
    api: Api, kept: list[dict[str, Any]]
) -> None:
    path = f"/receipts/unmatched/{kept[0]['id']}/unmask"
    for who in (OPERATOR, VIEWER):
        assert (await api.post(path, who, WHY)).status == 403
    assert (await api.post(path, SCHOOL, WHY)).status in {403, 404}
    assert (await api.post(path, ADMIN, {})).status == 422
    seen = await api.post(path, ADMIN, WHY)
    assert seen.status == 200, seen.body
    assert seen.json["octets"] == broken(1).hex()
    noted = await api.runtime.pool.fetchrow("SELECT * FROM disclosures")
    assert noted is not None
    assert (noted["kind"], noted["object_id"]) == ("receipt", str(kept[0]["id"]))
    assert str(noted["id"]) == seen.json["disclosure_id"]
    for unknown in (7, 2**62, 2**70):
        answer = await api.post(f"/receipts/unmatched/{unknown}/unmask", ADMIN, WHY)
        assert answer.status == 404, unknown


async def test_it_is_laid_aside_like_every_other_and_told_if_it_comes_again(
    api: Api, kept: list[dict[str, Any]]
) -> None:
    body = {"ids": [item["id"] for item in kept], "reason": "told to the carrier"}
    assert (await api.post("/receipts/unmatched/dismiss", ADMIN, body)).json["dismissed"] == 2
    aside = await api.runtime.pool.fetch("SELECT * FROM receipts_dismissed ORDER BY id")
    assert [(row["why"], row["copies"]) for row in aside] == [("unreadable", 3), ("unreadable", 1)]
    octets = api.runtime.keyring.decrypt_bytes("octets", aside[0]["octets_cipher"])
    assert octets == broken(1)
    async with connected(api, aside[0]["channel_id"]) as peer:
        peer.writer.write(broken(9))
        assert await peer.read() == (9, DeliverResp(77, 4))
    (again,) = (await api.get("/receipts/unmatched", ADMIN)).json["items"]
    assert (again["copies"], again["why"]) == (1, "unreadable")


async def test_it_is_counted_by_channel_and_in_the_day_s_reconciliation(
    api: Api, kept: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "READ_SECONDS", 0.0)
    found = await figures(api)
    assert found["tocsin_receipts_unmatched", kept[0]["channel"], "unreadable"] == 2
    day = api.clock.at.date().isoformat()
    (said,) = (await api.get(f"/reports/reconciliation?day={day}", VIEWER)).json["items"]
    assert said["receipts"] == {"unreadable": 2}
    assert "unreadable" in [each["name"] for each in said["differences"]]
