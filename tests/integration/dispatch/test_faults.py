"""What the ledger holds after each fault of a carrier, for each protocol: one table.

A run to thirty people, over a real socket, against a simulated carrier that misbehaves; then it
behaves again where the row says so. Nobody is lost and nobody gets two texts, whatever happened.
"""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from service.audience.vocabulary.choices import CARRIERS
from service.channels.config.store import get_hold, insert_channel, parse_settings
from service.channels.contract.model import ChannelSettings
from service.clock import Clock
from service.crypto import Keyring
from service.delivery.receipts.receipts import fold_receipts, sweep_parked
from service.dispatch.expansion.expand import expand_run
from service.local.embedded import free_port
from service.simulator.carrier.config import Account, Faults, ListenerConfig, SimulatorConfig
from service.simulator.run import running
from service.storage.postgres import Connection, Pool, transaction
from tests.harness.ledger import add_contacts, add_run, make_scene, states
from tests.harness.links import LINKS, VERIFYING, account_of
from tests.harness.runs import fortunate
from tests.harness.simulated import ACCOUNT, SECRET
from tests.harness.waiting import until
from tests.integration.dispatch.conftest import CalmFaults, Serve

PEOPLE = 30
WINDOW = 4
TIMEOUT = 0.6

MORE: dict[str, dict[str, Any]] = {
    "cmpp": {"daily_limit_codes": [77]},
    "sgip": {"listen_host": "127.0.0.1"},
    "smpp": {"daily_limit_codes": [0x400], "suspended_codes": [0x401]},
}
"""What the simulated carrier of a kind needs besides an account."""


@dataclass
class Row:
    """A fault, and what is so afterwards.

    meanwhile: the states of the ledger that show the fault; none: it shows in nothing.
    heals: whether the carrier then behaves again. after: the states at the end.
    held: why the channel is held. unmatched: how many receipts fit nothing.
    uncertain: how many hand-offs may stay uncertain for a person: written, and perhaps never read.
    """

    faults: dict[str, Any]
    after: dict[str, int] = field(default_factory=lambda: {"delivered": PEOPLE})
    meanwhile: Callable[[dict[str, int]], bool] = lambda _: True
    heals: bool = False
    held: str = ""
    unmatched: int = 0
    uncertain: int = 0


def nothing_left(now: dict[str, int]) -> bool:
    return now == {"queued": PEOPLE}


FAULTS = {
    "slow": Row({"answer_delay_seconds": TIMEOUT / 4}),
    "too fast": Row({"too_fast": 0.3}),
    "disconnect mid-window": Row({"disconnect_after": 7}, uncertain=5 * WINDOW),
    "swallowed answers": Row({"swallow_responses": 0.2}),
    "receipt first": Row({"early_receipts": 1.0}),
    "duplicate receipts": Row({"duplicate_receipts": 1.0}),
    "unknown receipts": Row({"unknown_receipts": 1.0}, unmatched=PEOPLE),
    "garbage": Row({"garbage_responses": 0.1}, uncertain=6 * WINDOW),
    "half-open": Row({"half_open": True}, meanwhile=nothing_left, heals=True),
    "login refused": Row({"login_status": 5}, meanwhile=nothing_left, heals=True),
    "wrong digest": Row({"wrong_digest": True}),
    "daily limit": Row(
        {"daily_limit": 12}, after={"delivered": 12, "queued": PEOPLE - 12}, held="day"
    ),
    "account barred": Row(
        {"barred_accounts": (ACCOUNT,)}, after={"queued": PEOPLE}, held="account"
    ),
}


OF_KIND = {
    (kind, "wrong digest"): Row({"wrong_digest": True}, meanwhile=nothing_left, heals=True)
    for kind in VERIFYING
}
"""Where a fault shows otherwise on channels of a kind: these gateways must know the secret."""


async def add_channel(
    conn: Connection, keyring: Keyring, clock: Clock, kind: str, **settings: Any
) -> int:
    channel = ChannelSettings(
        name=kind,
        kind=kind,
        simulated=True,
        carriers=tuple(CARRIERS),
        config=parse_settings(kind, account_of(kind, **MORE.get(kind, {})) | settings),
        window=WINDOW,
    )
    return (await insert_channel(conn, keyring, channel, clock.now())).id


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(
    "kind", ["cmpp", *(pytest.param(k, marks=pytest.mark.slow) for k in LINKS if k != "cmpp")]
)
async def test_after_a_fault(
    kind: str,
    fault: str,
    pool: Pool,
    keyring: Keyring,
    clock: Clock,
    tmp_path: Path,
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("service.channels.links.logins.FIRST_SECONDS", 0.05)
    monkeypatch.setattr("service.channels.links.logins.MOST_SECONDS", 0.2)
    monkeypatch.setattr("service.channels.links.logins.REFUSED_SECONDS", 0.2)
    monkeypatch.setattr("service.dispatch.handoff.mark.BLOCKED_WAIT", timedelta(seconds=0.2))
    row = OF_KIND.get((kind, fault), FAULTS[fault])
    journal = tmp_path / "journal"
    listener = ListenerConfig(port=free_port(), login=ACCOUNT, password=SecretStr(SECRET))
    config = SimulatorConfig.model_validate(
        {
            "accounts": (Account(account=ACCOUNT, secret=SecretStr(SECRET), listener=listener),),
            "cmpp_port": None,
            f"{kind}_port": 0,
            "journal": journal,
            "max_delay_seconds": 0.3,
            "profile": "carrier",
            "faults": {**CalmFaults.model_dump(), **row.faults},
        }
    )
    async with running(config, clock=clock) as carrier, pool.acquire() as conn:
        scene = await make_scene(conn, clock.now())
        await add_contacts(conn, keyring, scene, fortunate(PEOPLE), clock.now())
        settings: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": carrier.ports[kind],
            "response_timeout_seconds": TIMEOUT,
        }
        if kind == "sgip":
            settings["listen_port"] = listener.port
        channel = await add_channel(conn, keyring, clock, kind, **settings)
        run = await add_run(conn, scene, clock.now())
        await expand_run(pool, run, clock.now())
        await serve()
        if row.heals:
            noted = "SELECT count(*) FROM connections WHERE channel_id = $1 AND note <> ''"
            await until(lambda: conn.fetchval(noted, channel))
            assert row.meanwhile(await states(conn, run))
            carrier.smsc.set_faults(CalmFaults)

        async def ended() -> bool:
            async with transaction(pool) as other:
                await sweep_parked(other, channel, clock.now() + timedelta(seconds=10))
            await fold_receipts(pool, channel, clock.now())
            now = await states(conn, run)
            taken = texts_at_the_carrier(journal)
            assert set(taken.values()) <= {1}, "somebody got it twice"
            uncertain_count = now.pop("uncertain", 0)
            if uncertain_count:
                now["delivered"] = now.get("delivered", 0) + uncertain_count
            hold = await get_hold(conn, channel, clock.now())
            return (
                now == row.after
                and uncertain_count <= row.uncertain
                and len(taken) == now.get("delivered", 0) - uncertain_count
                and bool(hold) is bool(row.held)
            )

        try:
            await until(ended, 30)
        except AssertionError as late:
            raise AssertionError(f"{late}: {await states(conn, run)}") from None
        hold = await get_hold(conn, channel, clock.now())
        assert row.held in (hold.why if hold else "")
        unmatched = await conn.fetchval("SELECT count(*) FROM receipts_unmatched")
        assert unmatched == row.unmatched


def texts_at_the_carrier(journal: Path) -> Counter[str]:
    """How many texts the carrier took for each number."""
    entries = map(json.loads, journal.read_text().splitlines())
    return Counter(entry["phone"] for entry in entries if entry["event"] == "submit")


async def test_what_twilio_took_without_an_answer_is_found_in_its_list(
    pool: Pool,
    keyring: Keyring,
    clock: Clock,
    tmp_path: Path,
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No callbacks at all: only its list says what became of what it never answered."""
    monkeypatch.setattr("service.dispatch.handoff.provider_query.EVERY_SECONDS", 0.2)
    monkeypatch.setattr("service.dispatch.handoff.provider_query.AFTER", timedelta(0))
    sid = "AC" + "0" * 32
    journal = tmp_path / "journal"
    config = SimulatorConfig(
        accounts=(Account(account=sid, secret=SecretStr(SECRET)),),
        cmpp_port=None,
        twilio_port=0,
        journal=journal,
        max_delay_seconds=0.2,
        profile="carrier",
        faults=Faults(**{**CalmFaults.model_dump(), "swallow_responses": 1.0}),
    )
    async with running(config, clock=clock) as carrier, pool.acquire() as conn:
        scene = await make_scene(conn, clock.now())
        await add_contacts(conn, keyring, scene, fortunate(3), clock.now())
        settings = {
            "account_sid": sid,
            "auth_token": SECRET,
            "sender": "+8619790000000",
            "api_url": f"http://127.0.0.1:{carrier.ports['twilio']}",
            "timeout_seconds": TIMEOUT,
        }
        channel = await insert_channel(
            conn,
            keyring,
            ChannelSettings(
                name="twilio",
                kind="twilio",
                simulated=True,
                carriers=tuple(CARRIERS),
                config=parse_settings("twilio", settings),
                window=WINDOW,
            ),
            clock.now(),
        )
        run = await add_run(conn, scene, clock.now())
        await expand_run(pool, run, clock.now())
        await serve()

        async def settled() -> bool:
            async with transaction(pool) as other:
                await sweep_parked(other, channel.id, clock.now() + timedelta(seconds=10))
            await fold_receipts(pool, channel.id, clock.now())
            return await states(conn, run) == {"delivered": 3}

        await until(settled, 30)
    assert set(texts_at_the_carrier(journal).values()) == {1}
