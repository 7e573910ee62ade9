"""`tocsin channel` as a person uses it: JSON in, words or JSON out."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from service.accounts.people.model import Role
from service.channels.config.changes import confirm
from service.channels.config.changes_store import list_proposals
from service.channels.config.store import get_channel, hold_channel
from service.channels.contract.model import Hold
from service.clock import CHINA, Clock, written
from service.crypto import Keyring
from service.gateways.cmpp import CMPPConfig
from service.local.embedded import Valkey
from service.storage.postgres import Pool, transaction
from tests.factories import make_user
from tests.harness.session import carrier
from tests.harness.shell import Said, Shell

SECRET = "s3cr3t-of-the-carrier"
CONFIG = {"host": "127.0.0.1", "account": "901234", "secret": SECRET, "access_number": "10690000"}
BODY: dict[str, Any] = {
    "name": "移动",
    "kind": "cmpp",
    "simulated": True,
    "carriers": ["china_mobile"],
    "config": CONFIG,
}
CODE = {"kind": "cmpp", "applies_to": "receipt", "code": "MK:0099", "outcome": "expired"}


Tocsin = Callable[..., Coroutine[Any, Any, Said]]


@pytest.fixture
def tocsin(
    request: pytest.FixtureRequest, pool: Pool, database_url: str, valkey: Valkey, tmp_path: Path
) -> Tocsin:
    """Runs `tocsin channel …` on this test's database; `given` is its standard input."""
    processes = request.node.get_closest_marker("slow") is not None
    shell = Shell(database_url, tmp_path, valkey.url, processes=processes)

    async def run(*arguments: str, given: object = None, **more: str) -> Said:
        text = given if isinstance(given, str) else json.dumps(given)
        return await shell.run("channel", *arguments, given=text, **more)

    return run


async def test_a_channel_is_set_up_shown_changed_and_listed(
    tocsin: Tocsin, pool: Pool, keyring: Keyring, tmp_path: Path
) -> None:
    assert (await tocsin("list")).out == ""
    made = await tocsin("add", "-", given=BODY)
    assert made.code == 0, made.err
    assert (made.json["name"], made.json["config"]["secret"]) == ("移动", "set")
    assert (await tocsin("show", "移动")).json == made.json
    change = tmp_path / "change.json"
    change.write_text(json.dumps({"tps": 80, "config": {"port": 7891, "secret": "set"}}))
    changed = await tocsin("set", str(made.json["id"]), str(change))
    assert changed.json == {
        **made.json,
        "tps": 80,
        "config": {**made.json["config"], "port": 7891},
    }
    listed = await tocsin("list")
    assert listed.out.split("\t") == [
        str(made.json["id"]),
        "移动",
        "cmpp",
        "simulated",
        "china_mobile",
        "0/1 up\n",
    ]
    assert SECRET not in "".join(said.out + said.err for said in (made, changed, listed))
    async with transaction(pool) as conn:
        channel = await get_channel(conn, keyring, made.json["id"])
    assert isinstance(channel.config, CMPPConfig)
    assert channel.config.secret.get_secret_value() == SECRET


@pytest.mark.slow
async def test_a_hold_is_shown_and_lifted(tocsin: Tocsin, pool: Pool) -> None:
    made = (await tocsin("add", "-", given=BODY)).json
    until = Clock().now() + timedelta(hours=1)
    async with transaction(pool) as conn:
        await hold_channel(conn, made["id"], Hold(until, "no balance"))
    assert (await tocsin("list")).out.endswith(f"held until {written(until, CHINA)}: no balance\n")
    lifted = await tocsin("set", "移动", "-", given={"held_until": None})
    assert (lifted.json["held_until"], lifted.json["held_why"]) == (None, "")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "says"),
    [
        (
            {**BODY, "config": {**CONFIG, "secret": 5, "port": 0}},
            ["config.secret: ", "config.port: "],
        ),
        ({**BODY, "kind": "pigeon"}, ["kind: one of cmpp, "]),
        ({**BODY, "destinations": 100}, ["destinations: at most 99"]),
        ({**BODY, "colour": "red"}, ["colour: "]),
        ('{"name": "移动", "secret": ' + SECRET, ["is not JSON"]),
        ("", ["is not JSON"]),
    ],
)
async def test_what_is_wrong_is_named_and_nothing_is_kept(
    tocsin: Tocsin, pool: Pool, given: object, says: list[str]
) -> None:
    refused = await tocsin("add", "-", given=given)
    assert (refused.code, refused.out) == (1, "")
    for sentence in says:
        assert sentence in refused.err
    assert SECRET not in refused.err
    assert "Traceback" not in refused.err
    assert await pool.fetchval("SELECT count(*) FROM channels") == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("show", "nobody"), "there is no channel nobody"),
        (("set", "7", "-"), "there is no channel 7"),
        (("test", "7"), "there is no channel 7"),
        (("add", "/nowhere/channel.json"), "/nowhere/channel.json cannot be read"),
        (("codes", "--delete", "cmpp", "receipt", "X"), "nothing is kept of the receipt code X"),
    ],
)
async def test_what_is_not_there_is_said(
    tocsin: Tocsin, arguments: tuple[str, ...], says: str
) -> None:
    refused = await tocsin(*arguments, given={})
    assert (refused.code, refused.out) == (1, "")
    assert refused.err.startswith(f"tocsin: {says}")


@pytest.mark.slow
async def test_a_test_says_what_the_carrier_answered(tocsin: Tocsin) -> None:
    async with carrier() as scripted:
        body = {**BODY, "config": {**CONFIG, "port": scripted.port}}
        made = (await tocsin("add", "-", given=body)).json
        for status, begins, code in (
            (0, "ok: the carrier accepted the login", 0),
            (3, "failed: ", 1),
        ):
            asked = asyncio.create_task(tocsin("test", str(made["id"])))
            await (await scripted.peer()).accept_login(status, secret=SECRET)
            said = await asked
            assert said.code == code, said.err
            assert said.out.startswith(begins)
            assert said.out.endswith(" ms\n")
            assert SECRET not in said.out + said.err
        assert "(code 3)" in said.out


@pytest.mark.slow
async def test_a_test_calls_no_real_carrier_on_simulated_time(tocsin: Tocsin) -> None:
    async with carrier() as real:
        body = {**BODY, "simulated": False, "config": {**CONFIG, "port": real.port}}
        await tocsin("add", "-", given=body)
        refused = await tocsin(
            "test", "移动", TOCSIN_CLOCK_START="2027-01-12T09:30+08:00", TOCSIN_CLOCK_ANCHOR="0"
        )
        assert (refused.code, "simulated time" in refused.err) == (1, True)
        assert real.arrived.empty()


@pytest.mark.attack
async def test_a_new_real_channel_waits_for_an_administrator(
    tocsin: Tocsin, pool: Pool, keyring: Keyring, now: datetime
) -> None:
    """Whoever runs the machine is one person; any administrator is the second."""
    made = await tocsin("add", "-", given={**BODY, "simulated": False})
    assert made.code == 0, made.err
    assert (made.json["enabled"], made.json["waits_since"] is not None) == (False, True)
    assert "waits for a second person since" in (await tocsin("list")).out
    for words in (("set", "移动", "-"), ("test", "移动")):
        refused = await tocsin(*words, given={"enabled": True})
        assert (refused.code, "another administrator has confirmed it" in refused.err) == (1, True)
    async with transaction(pool) as conn:
        admin = await make_user(conn, Role.ADMIN, now=now, kind="county")
        (proposal,) = await list_proposals(conn, made.json["id"], None, 10)
        at = proposal.proposed_at
        await confirm(conn, keyring, made.json["id"], proposal.id, admin, at)
    assert (await tocsin("show", "移动")).json["enabled"] is True


@pytest.mark.slow
async def test_codes_are_given_a_meaning_and_none(tocsin: Tocsin) -> None:
    put = await tocsin("codes", "--put", "-", given=CODE)
    assert put.json == {**CODE, "reason": "other", "note": ""}
    assert (await tocsin("codes")).json == [put.json]
    refused = await tocsin("codes", "--put", "-", given={**CODE, "outcome": "accepted"})
    assert (refused.code, "outcome: one of buffered, " in refused.err) == (1, True)
    assert (await tocsin("codes", "--delete", "cmpp", "receipt", "MK:0099")).code == 0
    assert (await tocsin("codes")).json == []
