"""Where a real channel's credentials go takes two persons, and the secrets anew."""

from datetime import timedelta
from typing import Any

import pytest

from service.accounts.people.model import Role
from service.accounts.people.proposals import WAITS
from service.api.channels.channel_forms import ChannelBody, settings_of
from service.channels.config.changes import create
from service.channels.config.store import get_channel, update_channel
from service.channels.contract.registry import load
from service.storage.postgres import CheckViolation, transaction
from tests.harness.channels import CONFIGS, HTTP_BODY, body_of, confirmed, real, secrets, waiting
from tests.harness.keys import key_made_by, other, second_admin
from tests.harness.owner import as_owner
from tests.integration.api.conftest import Api

pytestmark = pytest.mark.attack

ADMIN, VIEWER = ("county", "admin"), ("county", "viewer")
CHANGES: list[tuple[str, dict[str, Any]]] = [
    ("cmpp", {"host": "203.0.113.66"}),
    ("cmpp", {"port": 7891}),
    ("cmpp", {"verify_gateway": False, "unverified_because": "so"}),
    ("sgip", {"host": "203.0.113.66"}),
    ("sgip", {"listen_addresses": ["0.0.0.0/0"]}),
    ("sgip", {"listen_password": "known-to-me"}),
    ("smgp", {"host": "203.0.113.66"}),
    ("smgp", {"verify_gateway": False, "unverified_because": "so"}),
    ("smpp", {"host": "203.0.113.66"}),
    ("smpp", {"tls_server_name": "evil.example.com"}),
    ("http", {"url": "https://evil.example.com/send"}),
    ("http", {"body": HTTP_BODY.replace('"id"', '"i"')}),
    ("http", {"callback_secret": "known-to-me"}),
    ("http", {"public_url": "https://evil.example.com/x"}),
    ("twilio", {"api_url": "https://evil.example.com"}),
    ("twilio", {"auth_token": "known-to-me"}),
]


async def config_of(api: Api, channel: int) -> dict[str, Any]:
    async with transaction(api.runtime.pool) as conn:
        found = await get_channel(conn, api.runtime.keyring, channel)
    return found.config.model_dump()


@pytest.mark.parametrize(("kind", "change"), CHANGES)
async def test_one_person_changes_nothing_of_where_a_real_channel_leads(
    api: Api, kind: str, change: dict[str, Any]
) -> None:
    channel = await real(api, kind)
    before = await config_of(api, channel)
    for config in (change, secrets(kind) | change):
        refused = await api.patch(f"/channels/{channel}", ADMIN, {"config": config})
        assert refused.status == 409, refused.body
        assert refused.json["type"] == "/problems/needs_second_person"
    assert await config_of(api, channel) == before


@pytest.mark.parametrize(("kind", "change"), CHANGES)
async def test_two_persons_do_with_the_secrets_entered_anew(
    api: Api, kind: str, change: dict[str, Any]
) -> None:
    channel = await real(api, kind)
    before = await config_of(api, channel)
    path = f"/channels/{channel}/changes"
    others = {f"config.{name}" for name in secrets(kind) if name not in change}
    echoed = dict.fromkeys(secrets(kind), "set") | change
    for config in (change, echoed) if others else ():
        void = await api.post(path, ADMIN, {"config": config, "reason": "r"})
        assert void.status == 422, "a secret given back as it is shown is not entered"
        assert set(void.json["fields"]) == others
    given = secrets(kind) | change
    made = await api.post(path, ADMIN, {"config": given, "reason": "新机房"})
    assert (made.status, made.json["state"]) == (201, "pending")
    assert await config_of(api, channel) == before, "nothing changes yet"
    confirm = f"{path}/{made.json['id']}/confirm"
    own = await api.post(confirm, ADMIN)
    assert own.status == 403
    assert own.json["type"] == "/problems/second_person_needed"
    second = await second_admin(api)
    done = await api.post(confirm, second)
    assert (done.status, done.json["state"]) == (200, "confirmed"), done.body
    listed, new = (await api.get(path, second)).json["items"]
    assert listed["id"] == made.json["id"]
    assert (listed["creates"], new["creates"]) == (False, True)
    for answer in (made, done, await api.get(path, ADMIN)):
        assert b"s3cr3t" not in answer.body
        assert b"known-to-me" not in answer.body
    after = await config_of(api, channel)
    for name, value in change.items():
        plain = getattr(after[name], "get_secret_value", lambda name=name: after[name])()
        assert str(plain if not isinstance(plain, tuple) else [str(n) for n in plain]) == str(value)
    assert (await api.post(confirm, second)).status == 409, "once"


async def test_what_leads_nowhere_else_one_person_changes_as_ever(api: Api) -> None:
    channel = await real(api, "cmpp")
    path = f"/channels/{channel}"
    for body in (
        {"tps": 5},
        {"enabled": False},
        {"config": {"service_id": "X"}},
        {"config": {"secret": "rotated"}},
        {"config": {"host": "192.0.2.1", "secret": "set"}},
    ):
        assert (await api.patch(path, ADMIN, body)).status == 200, body
    assert (await config_of(api, channel))["secret"].get_secret_value() == "rotated"
    nothing = await api.post(
        f"{path}/changes", ADMIN, {"config": {"service_id": "Y"}, "reason": "r"}
    )
    assert nothing.status == 409


async def test_a_simulated_channel_needs_one_person(api: Api) -> None:
    channel = await real(api, "cmpp", simulated=True)
    moved = await api.patch(f"/channels/{channel}", ADMIN, {"config": {"host": "192.0.2.9"}})
    assert moved.status == 200
    assert (await config_of(api, channel))["secret"].get_secret_value() == "s3cr3t-1"


async def test_a_proposal_waits_for_a_week_and_the_next_takes_its_place(api: Api) -> None:
    channel = await real(api, "cmpp")
    path = f"/channels/{channel}/changes"
    second = await second_admin(api)
    bodies = [{"config": {"host": f"192.0.2.{n}", "secret": "n"}, "reason": "r"} for n in (7, 8, 9)]
    first, middle, third = [await api.post(path, ADMIN, body) for body in bodies]
    assert (await api.post(f"{path}/{first.json['id']}/confirm", second)).status == 409
    api.clock.at += WAITS + timedelta(seconds=1)
    late = await api.post(f"{path}/{third.json['id']}/confirm", second)
    assert (late.status, late.json["type"]) == (409, "/problems/wrong_state")
    states = [item["state"] for item in (await api.get(path, ADMIN)).json["items"]]
    assert states == ["expired", "replaced", "replaced", "confirmed"]
    assert middle.json["state"] == "pending"


async def test_what_was_proposed_for_other_settings_is_not_confirmed(api: Api) -> None:
    """Nobody has seen this host together with that port."""
    channel = await real(api, "cmpp")
    path = f"/channels/{channel}/changes"
    made = await api.post(
        path, ADMIN, {"config": {"host": "192.0.2.7", "secret": "n"}, "reason": "r"}
    )
    async with transaction(api.runtime.pool) as conn:
        found = await get_channel(conn, api.runtime.keyring, channel)
        config = found.config.model_copy(update={"port": 7000})
        object.__setattr__(found, "config", config)
        await update_channel(conn, api.runtime.keyring, found)
    stale = await api.post(f"{path}/{made.json['id']}/confirm", await second_admin(api))
    assert (stale.status, stale.json["type"]) == (409, "/problems/wrong_state")


async def test_the_database_refuses_the_same_person_twice(api: Api) -> None:
    channel = await real(api, "cmpp")
    await api.post(
        f"/channels/{channel}/changes",
        ADMIN,
        {"config": {"host": "192.0.2.7", "secret": "n"}, "reason": "r"},
    )
    with pytest.raises(CheckViolation, match="channel_changes_two_persons"):
        await api.runtime.pool.execute(
            "UPDATE channel_changes SET confirmed_by = proposed_by, confirmed_at = proposed_at"
            " WHERE NOT creates"
        )


async def test_one_person_with_two_accounts_is_no_second_person(api: Api) -> None:
    """Whoever made the other administrator's key, and so may hold it."""
    channel = await real(api, "cmpp")
    path = f"/channels/{channel}/changes"
    body = {"config": {"host": "192.0.2.7", "secret": "n"}, "reason": "r"}
    made = await api.post(path, ADMIN, body)
    puppet, third = await other(api, Role.ADMIN), await other(api, Role.ADMIN)
    token = await key_made_by(api, ADMIN, puppet.id)
    (waits, begun) = (await api.get(path, ADMIN)).json["items"]
    could = {user["id"] for user in waits["confirmers"]}
    assert str(third.id) in could
    assert could.isdisjoint({str(puppet.id), str(api.teams["county"].admin.id)})
    assert begun["confirmers"] == [], "it does not wait"
    refused = await api.post(f"{path}/{made.json['id']}/confirm", token)
    assert (refused.status, refused.json["type"]) == (403, "/problems/second_person_needed")
    with pytest.raises(CheckViolation, match="counts as the first"):
        await api.runtime.pool.execute(
            "UPDATE channel_changes SET confirmed_by = $1, confirmed_at = $2 WHERE NOT creates",
            *(puppet.id, api.clock.at),
        )


async def test_who_does_not_manage_channels_neither_sees_nor_proposes(api: Api) -> None:
    channel = await real(api, "cmpp")
    path = f"/channels/{channel}/changes"
    assert (await api.get(path, VIEWER)).status == 403
    body = {"config": {"host": "192.0.2.7", "secret": "n"}, "reason": "r"}
    assert (await api.post(path, VIEWER, body)).status == 403
    assert (await api.post("/channels/999/changes", ADMIN, body)).status == 404


async def test_the_gateways_digest_is_checked_unless_somebody_says_why_not(api: Api) -> None:
    body: dict[str, Any] = {
        "name": "c",
        "kind": "cmpp",
        "simulated": False,
        "carriers": ["china_mobile"],
        "config": CONFIGS["cmpp"] | {"verify_gateway": False},
    }
    refused = await api.post("/channels", ADMIN, body)
    assert refused.status == 422
    assert list(refused.json["fields"]) == ["config.unverified_because"]
    body["config"] |= {"unverified_because": "运营商书面说明"}
    assert (await api.post("/channels", ADMIN, body)).status == 201


# ---- a new real channel


async def state_of(api: Api, channel: int) -> tuple[bool, bool]:
    """Whether it is enabled, and whether it waits for a second person."""
    found = (await api.get(f"/channels/{channel}", VIEWER)).json
    return found["enabled"], found["waits_since"] is not None


async def proposal_of(api: Api, channel: int, who: Any = ADMIN) -> dict[str, Any]:
    """What waits of a channel."""
    items = (await api.get(f"/channels/{channel}/changes", who)).json["items"]
    (found,) = (item for item in items if item["state"] == "pending")
    return dict(found)


@pytest.mark.parametrize("kind", sorted(CONFIGS))
async def test_a_new_real_channel_carries_nothing_before_a_second_person(
    api: Api, kind: str
) -> None:
    """Whoever set it up alone would be sent every number and text that it is given."""
    channel = await waiting(api, kind, rank=0, enabled=True)
    path = f"/channels/{channel['id']}"
    assert channel["enabled"] is False, "it works on the word of one"
    assert channel["waits_since"] is not None
    for act in (
        await api.patch(path, ADMIN, {"enabled": True}),
        await api.patch(path, ADMIN, {"enabled": True, "config": {}}),
        await api.post(f"{path}/test", ADMIN),
    ):
        assert (act.status, act.json["type"]) == (409, "/problems/needs_second_person"), act.body
        assert "another administrator has confirmed it" in act.json["detail"]
    assert await state_of(api, channel["id"]) == (False, True)
    proposal = await proposal_of(api, channel["id"])
    guarded = set(load()[kind].guarded)
    assert set(proposal["config"]) == guarded & set(channel["config"])
    assert "s3cr3t" not in str(proposal)
    assert (proposal["creates"], proposal["enables"]) == (True, True)
    confirm = f"{path}/changes/{proposal['id']}/confirm"
    puppet = await key_made_by(api, ADMIN, (await other(api, Role.ADMIN)).id)
    for who in (ADMIN, puppet):
        own = await api.post(confirm, who)
        assert (own.status, own.json["type"]) == (403, "/problems/second_person_needed")
    assert await state_of(api, channel["id"]) == (False, True)
    before = await config_of(api, channel["id"])
    done = await api.post(confirm, await second_admin(api))
    assert (done.status, done.json["state"]) == (200, "confirmed"), done.body
    assert await state_of(api, channel["id"]) == (True, False)
    assert await config_of(api, channel["id"]) == before


async def test_one_that_is_to_stay_off_stays_off_when_it_is_confirmed(api: Api) -> None:
    channel = (await waiting(api, "cmpp", enabled=False))["id"]
    await confirmed(api, channel)
    assert await state_of(api, channel) == (False, False)
    assert (await api.patch(f"/channels/{channel}", ADMIN, {"enabled": True})).status == 200


async def test_what_may_change_alone_changes_while_it_waits_and_the_rest_is_proposed_anew(
    api: Api,
) -> None:
    channel = (await waiting(api, "cmpp"))["id"]
    path, second = f"/channels/{channel}", await second_admin(api)
    first = await proposal_of(api, channel)
    assert (await api.patch(path, ADMIN, {"tps": 5, "config": {"secret": "n"}})).status == 200
    alone = await api.patch(path, ADMIN, {"config": {"host": "192.0.2.7"}})
    assert (alone.status, alone.json["type"]) == (409, "/problems/needs_second_person")
    body = {"config": {"host": "192.0.2.7", "secret": "m"}, "reason": "wrong host"}
    made = await api.post(f"{path}/changes", ADMIN, body)
    assert made.status == 201, made.body
    assert made.json["config"]["host"] == "192.0.2.7"
    assert made.json["config"]["port"] == 7890, "all of where it leads is shown"
    assert (await api.post(f"{path}/changes/{first['id']}/confirm", second)).status == 409
    assert (await api.post(f"{path}/changes/{made.json['id']}/confirm", second)).status == 200
    after = await config_of(api, channel)
    assert (str(after["host"]), after["secret"].get_secret_value()) == ("192.0.2.7", "m")
    assert await state_of(api, channel) == (False, False)


async def test_a_new_channel_that_nobody_confirmed_in_a_week_is_proposed_anew(api: Api) -> None:
    channel = (await waiting(api, "cmpp"))["id"]
    path, second = f"/channels/{channel}", await second_admin(api)
    old = await proposal_of(api, channel)
    api.clock.at += WAITS + timedelta(seconds=1)
    assert (await api.post(f"{path}/changes/{old['id']}/confirm", second)).status == 409
    refused = await api.patch(path, ADMIN, {"enabled": True})
    assert refused.json["type"] == "/problems/needs_second_person"
    made = await api.post(f"{path}/changes", second, {"config": {}, "reason": "again"})
    assert (made.status, made.json["creates"]) == (201, True), made.body
    confirm = f"{path}/changes/{made.json['id']}/confirm"
    assert (await api.post(confirm, second)).status == 403
    assert (await api.post(confirm, ADMIN)).status == 200
    assert (await api.patch(path, ADMIN, {"enabled": True})).status == 200


async def test_the_database_lets_no_real_channel_begin_on_the_word_of_one(api: Api) -> None:
    channel = (await waiting(api, "cmpp"))["id"]
    pool, admin = api.runtime.pool, api.teams["county"].admin.id
    copy = """
        INSERT INTO channels (name, kind, simulated, created_at, carriers, config_cipher, enabled,
                              waits_since)
        SELECT 'copy', kind, false, created_at, carriers, config_cipher, $1, $2 FROM channels
    """
    for change, constraint in (
        ("enabled = true", "channels_waiting_is_off"),
        ("enabled = true, waits_since = NULL", "channels_begin_by_two"),
        ("waits_since = NULL", "channels_begin_by_two"),
        ("simulated = true", "stays simulated or real"),
        ("simulated = true, enabled = true, waits_since = NULL", "channels_begin_by_two"),
    ):
        with pytest.raises(CheckViolation) as refused:
            await pool.execute(f"UPDATE channels SET {change}")  # as above
        assert constraint in f"{refused.value} {refused.value.constraint_name}"
    for enabled, since in ((True, None), (False, None), (True, api.clock.at)):
        with pytest.raises(CheckViolation):
            await pool.execute(copy, enabled, since)
    puppet = await other(api, Role.ADMIN)
    await key_made_by(api, ADMIN, puppet.id)
    for by in (admin, puppet.id):
        with pytest.raises(CheckViolation):
            await pool.execute(
                "UPDATE channel_changes SET confirmed_by = $1, confirmed_at = $2", by, api.clock.at
            )
        with pytest.raises(CheckViolation):
            await pool.execute(
                "INSERT INTO channel_changes (channel_id, change_cipher, names, reason, creates,"
                " proposed_by, proposed_at, confirmed_by, confirmed_at)"
                " VALUES ($1, '', '{}', '', true, $2, $4, $3, $4)",
                *(channel, admin, by, api.clock.at),
            )
    async with pool.acquire() as conn:
        await conn.execute("CREATE TEMP TABLE channel_changes (LIKE public.channel_changes)")
        await conn.execute("INSERT INTO channel_changes SELECT * FROM public.channel_changes")
        await conn.execute(
            "UPDATE channel_changes SET confirmed_by = proposed_by, confirmed_at = now()"
        )
        try:
            with pytest.raises(CheckViolation, match="until a second person"):
                await conn.execute("UPDATE channels SET waits_since = NULL")
        finally:
            await conn.execute("DROP TABLE pg_temp.channel_changes")
    assert await state_of(api, channel) == (False, True)


async def test_a_simulated_channel_never_becomes_a_real_one(api: Api) -> None:
    """Else it would be the way round the second person."""
    path = f"/channels/{(await waiting(api, 'cmpp', simulated=True))['id']}"
    assert (await api.patch(path, ADMIN, {"simulated": False})).status == 422
    changed = await api.post(f"{path}/changes", ADMIN, {"config": {}, "reason": "r"})
    assert changed.status == 409
    with pytest.raises(CheckViolation, match="stays simulated or real"):
        await api.runtime.pool.execute("UPDATE channels SET simulated = false")


async def test_a_channel_that_was_there_before_goes_on(api: Api) -> None:
    """It never waited for anybody, and is changed as ever."""
    channel = await real(api, "cmpp")
    await as_owner(api.runtime.pool, "DELETE FROM channel_changes")
    path = f"/channels/{channel}"
    for body in ({"enabled": False}, {"enabled": True}, {"tps": 7}):
        assert (await api.patch(path, ADMIN, body)).status == 200
    assert await state_of(api, channel) == (True, False)


async def test_what_the_machine_set_up_any_administrator_confirms(api: Api) -> None:
    async with transaction(api.runtime.pool) as conn:
        settings = settings_of(ChannelBody.model_validate(body_of("cmpp")))
        channel = await create(conn, api.runtime.keyring, settings, None, api.clock.at)
    assert await state_of(api, channel.id) == (False, True)
    proposal = await proposal_of(api, channel.id)
    assert proposal["proposed_by"] is None
    done = await api.post(f"/channels/{channel.id}/changes/{proposal['id']}/confirm", ADMIN)
    assert done.status == 200, done.body
    assert await state_of(api, channel.id) == (True, False)
    with pytest.raises(CheckViolation, match="channel_changes_proposer"):
        await api.runtime.pool.execute(
            "INSERT INTO channel_changes (channel_id, change_cipher, names, reason, proposed_at)"
            " VALUES ($1, '', '{}', '', $2)",
            *(channel.id, api.clock.at),
        )
