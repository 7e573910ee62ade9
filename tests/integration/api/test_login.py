"""Logging in: passwords, one-time codes, what wrong ones lead to, and sessions that end."""

import asyncio
import base64
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from service.accounts.login.attempt_store import FREE_ATTEMPTS
from service.accounts.login.credentials import code_at, step_of
from service.accounts.login.login import FREE_BY_ADDRESS, by_address
from service.accounts.login.passwords import WAITS
from service.accounts.login.session_store import IDLE, LIFETIME
from service.accounts.people.model import Right
from service.storage.postgres import CheckViolation, transaction
from tests.factories import make_token, make_user
from tests.harness.keys import active_key, second_admin
from tests.harness.logins import PASSWORD, given_password, log_in, person
from tests.harness.shell import Shell
from tests.integration.api.conftest import Answer, Api

ADMIN = ("county", "admin")


def kind(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.json["type"].rpartition("/")[2]


async def test_a_given_password_is_good_for_choosing_another_only(api: Api) -> None:
    user = api.teams["county"].operator
    given = await given_password(api, user.id)
    opened = await log_in(api, user.login, given)
    assert (opened.status, opened.json["must_change_password"]) == (201, True)
    token = opened.json["token"]
    assert (await api.get("/me", token)).json["may"] == []
    assert (await api.get("/campaigns", token)).status == 403
    body = {"current": given, "new": PASSWORD}
    assert (await api.post("/me/password", token, body)).status == 204
    assert (await api.get("/campaigns", token)).status == 200
    assert kind(await log_in(api, user.login, given)) == (401, "login_failed")
    again = await log_in(api, user.login, PASSWORD)
    assert (again.status, again.json["must_change_password"]) == (201, False)


@pytest.mark.attack
async def test_nobody_becomes_the_second_person_by_giving_a_password(api: Api) -> None:
    login, user = await person(api), api.teams["county"].operator
    session = (await log_in(api, login, PASSWORD)).json["token"]
    given = await api.post(f"/users/{user.id}/password", ADMIN)
    assert (given.status, given.json["state"]) == (201, "pending")
    shown = (await api.get(f"/users/{user.id}", ADMIN)).json
    assert shown["password_from"] == str(api.teams["county"].admin.id)
    path = f"/users/{user.id}/password/confirm"
    assert kind(await api.post(path, ADMIN)) == (403, "second_person_needed")
    assert (await log_in(api, login, given.json["password"])).status == 401
    assert (await log_in(api, login, PASSWORD)).status == 201  # the old one goes on
    assert (await api.post(path, await second_admin(api))).status == 204
    assert (await api.get("/me", session)).status == 401
    assert (await log_in(api, login, PASSWORD)).status == 401
    opened = await log_in(api, login, given.json["password"])
    assert (opened.status, opened.json["must_change_password"]) == (201, True)
    assert (await api.get(f"/users/{user.id}", ADMIN)).json["password_from"] is None
    assert kind(await api.post(path, await second_admin(api))) == (409, "wrong_state")


async def test_the_database_wants_two_persons_for_a_password_too(api: Api) -> None:
    user = api.teams["county"].operator.id
    await api.post(f"/users/{user}/password", ADMIN)
    with pytest.raises(CheckViolation, match="users_given_by_two"):
        await api.runtime.pool.execute(
            "UPDATE users SET given_confirmed_by = given_by WHERE id = $1", user
        )


async def test_a_given_password_waits_for_so_long(api: Api) -> None:
    user = api.teams["county"].operator.id
    await api.post(f"/users/{user}/password", ADMIN)
    api.clock.at += WAITS
    path = f"/users/{user}/password/confirm"
    assert kind(await api.post(path, await second_admin(api))) == (409, "wrong_state")


async def test_whoever_chooses_a_password_needs_none_that_was_given(api: Api) -> None:
    login, user = await person(api), api.teams["county"].operator.id
    token = (await log_in(api, login, PASSWORD)).json["token"]
    await api.post(f"/users/{user}/password", ADMIN)
    body = {"current": PASSWORD, "new": PASSWORD + " staple"}
    assert (await api.post("/me/password", token, body)).status == 204
    path = f"/users/{user}/password/confirm"
    assert kind(await api.post(path, await second_admin(api))) == (409, "wrong_state")


async def test_a_password_of_ones_own_takes_a_key_that_gives_as_much(api: Api) -> None:
    admin = api.teams["county"].admin
    path = f"/users/{admin.id}/password"
    given = await api.post(path, ADMIN)
    assert (given.status, given.json["state"]) == (201, "active")
    opened = (await log_in(api, admin.login, given.json["password"])).json["token"]
    body = {"current": given.json["password"], "new": PASSWORD}
    assert (await api.post("/me/password", opened, body)).status == 204
    near = await active_key(api, "admin", networks=["127.0.0.0/8"])
    for token in (opened, near["token"]):  # whoever finds a session open must not stay
        assert (await api.post(path, token)).json["state"] == "pending"
    part = await active_key(api, "admin", scopes=["accounts"])
    assert kind(await api.post(path, part["token"])) == (403, "right_not_yours")


async def test_whoever_runs_the_machine_gives_the_first_password(
    api: Api, database_url: str, tmp_path: Path
) -> None:
    shell = Shell(database_url, tmp_path)
    login = api.teams["county"].admin.login
    given = await shell.run("password", login)
    assert given.code == 0
    opened = await log_in(api, login, given.out.strip())
    assert (opened.status, opened.json["must_change_password"]) == (201, True)
    via = await api.runtime.pool.fetchval(
        "SELECT via FROM audit_entries WHERE action = 'give_password'"
    )
    assert via == "cli"
    assert (await shell.run("password", "nobody")).code == 1


@pytest.mark.parametrize("new", ["short", "a" * 20, "{login} and more of it", "x" * 129, PASSWORD])
async def test_a_weak_password_is_refused(api: Api, new: str) -> None:
    login = await person(api)
    token = (await log_in(api, login, PASSWORD)).json["token"]
    body = {"current": PASSWORD, "new": new.format(login=login)}
    refused = await api.post("/me/password", token, body)
    assert (refused.status, list(refused.json["fields"])) == (422, ["new"])


@pytest.mark.attack
@pytest.mark.usefixtures("slow_hashes")
async def test_what_is_stored_is_a_slow_hash(api: Api) -> None:
    await person(api)
    stored = await api.runtime.pool.fetchval(
        "SELECT password_hash FROM users WHERE password_hash IS NOT NULL"
    )
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


@pytest.mark.attack
async def test_a_stranger_is_not_told_which_login_there_is(api: Api) -> None:
    login = await person(api)
    answers = [await log_in(api, name, "wrong") for name in (login, "nobody")]
    assert answers[0].json | {"request_id": ""} == answers[1].json | {"request_id": ""}
    never = api.teams["county"].viewer.login  # has no password at all
    assert kind(await log_in(api, never, "")) == (422, "invalid")
    assert kind(await log_in(api, never, "wrong")) == (401, "login_failed")


@pytest.mark.attack
async def test_too_many_wrong_ones_shut_the_account_longer_each_time(api: Api) -> None:
    login = await person(api)
    for _ in range(FREE_ATTEMPTS):
        assert (await log_in(api, login, "wrong")).status == 401
    waits = []
    for _ in range(3):
        shut = await log_in(api, login, PASSWORD)
        assert kind(shut) == (429, "locked")
        waits.append(int(shut.headers["Retry-After"]))
        api.clock.at += timedelta(seconds=waits[-1])
        assert (await log_in(api, login, "wrong")).status == 401
    assert waits == [30, 60, 120]
    api.clock.at += timedelta(seconds=240)
    assert (await log_in(api, login, PASSWORD)).status == 201
    assert (await log_in(api, login, "wrong")).status == 401  # counted from the beginning again


async def test_a_thousand_at_once_are_no_more_than_the_first_few(api: Api) -> None:
    login = await person(api)
    answers = await asyncio.gather(*(log_in(api, login, f"wrong {n}") for n in range(30)))
    assert [answer.status for answer in answers].count(401) == FREE_ATTEMPTS
    assert (await log_in(api, login, PASSWORD)).status == 429


@pytest.mark.attack
async def test_a_login_that_does_not_exist_is_shut_like_one_that_does(api: Api) -> None:
    names = (await person(api), "nobody")
    told: dict[str, list[Any]] = {name: [] for name in names}
    for step in range(3 * FREE_ATTEMPTS):
        for name in names:
            answer = await log_in(api, name, "wrong")
            shown = answer.json | {"request_id": ""}
            told[name].append((answer.status, answer.headers.get("Retry-After"), shown))
        api.clock.at += timedelta(seconds=40 * (step % 3 == 2))
    assert told[names[0]] == told[names[1]]
    assert [status for status, *_ in told["nobody"]].count(429) > 3


@pytest.mark.attack
async def test_one_password_tried_with_many_logins_shuts_the_address(api: Api) -> None:
    """A login of one's own that goes well between them opens it no more."""
    mine = await person(api)
    statuses = []
    for number in range(FREE_BY_ADDRESS + 5):
        if number % 10 == 9:
            assert (await log_in(api, mine, PASSWORD)).status == 201
        statuses.append((await log_in(api, f"somebody{number}", "Passw0rd")).status)
        if statuses[-1] == 429:
            break
    assert statuses == [401] * FREE_BY_ADDRESS + [429]
    assert kind(await log_in(api, mine, PASSWORD)) == (429, "locked")
    assert (await api.get("/me", ADMIN)).status == 200
    api.clock.at += timedelta(minutes=15)
    assert (await log_in(api, mine, PASSWORD)).status == 201


@pytest.mark.attack
async def test_one_customer_has_one_address(api: Api) -> None:
    keyring = api.runtime.keyring
    same = ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "2001:db8:1:2::1%eth0")
    assert len({by_address(keyring, address) for address in same}) == 1
    others = ("2001:db8:1:3::1", "10.0.0.1", "10.0.0.2", "not an address")
    assert len({by_address(keyring, address) for address in (*others, same[0])}) == 5
    assert by_address(keyring, "::ffff:10.0.0.1") == by_address(keyring, "10.0.0.1")


@pytest.mark.attack
async def test_what_was_typed_for_a_login_is_not_kept(api: Api) -> None:
    """People type the password where the login belongs."""
    await log_in(api, PASSWORD, "x")
    rows = await api.runtime.pool.fetch("SELECT f::text AS row FROM login_failures f")
    typed = (PASSWORD, PASSWORD.encode().hex(), sha256(PASSWORD.encode()).hexdigest())
    assert len(rows) == 2
    assert not any(words in row["row"] for row in rows for words in typed)


GUESSES: list[tuple[str, dict[str, str]]] = [
    ("/me/password", {"current": "wrong", "new": PASSWORD + " staple"}),
    ("/me/totp", {"password": "wrong"}),
    ("/me/totp/confirm", {"code": "000000"}),
]


@pytest.mark.parametrize(("path", "body"), GUESSES)
async def test_whoever_finds_a_session_open_cannot_guess_either(
    api: Api, path: str, body: dict[str, str]
) -> None:
    login = await person(api)
    token = (await log_in(api, login, PASSWORD)).json["token"]
    assert (await api.post("/me/totp", token, {"password": PASSWORD})).status == 201
    answers = [await api.post(path, token, body) for _ in range(FREE_ATTEMPTS + 2)]
    assert [answer.status for answer in answers] == [422] * FREE_ATTEMPTS + [429] * 2
    assert kind(answers[-1]) == (429, "locked")
    assert answers[-1].headers["Retry-After"] == "30"
    assert kind(await log_in(api, login, PASSWORD)) == (429, "locked")
    right = body | {"current": PASSWORD, "password": PASSWORD}
    assert (await api.post(path, token, {name: right[name] for name in body})).status == 429
    noted = await api.runtime.pool.fetchval(
        "SELECT count(*) FROM audit_entries WHERE action = 'login_failed'"
    )
    assert noted == FREE_ATTEMPTS
    api.clock.at += timedelta(seconds=30)
    assert (await api.post("/me/totp", token, {"password": PASSWORD})).status == 201
    assert (await log_in(api, login, "wrong")).status == 401  # counted from the beginning again


async def test_many_guesses_at_once_are_no_more_than_the_first_few(api: Api) -> None:
    token = (await log_in(api, await person(api), PASSWORD)).json["token"]
    answers = await asyncio.gather(
        *(api.post("/me/totp", token, {"password": f"wrong {n}"}) for n in range(20))
    )
    assert [answer.status for answer in answers].count(422) == FREE_ATTEMPTS


async def _with_totp(api: Api, login: str) -> tuple[bytes, list[str]]:
    token = (await log_in(api, login, PASSWORD)).json["token"]
    begun = (await api.post("/me/totp", token, {"password": PASSWORD})).json
    assert begun["uri"].startswith("otpauth://totp/Tocsin:")
    secret = base64.b32decode(begun["secret"])
    assert (await api.post("/me/totp/confirm", token, {"code": "000000"})).status == 422
    code = code_at(secret, step_of(api.clock.at))
    done = await api.post("/me/totp/confirm", token, {"code": code})
    assert done.status == 200, done.body
    assert (await api.post("/me/totp", token, {"password": PASSWORD})).status == 409
    return secret, done.json["recovery_codes"]


async def test_a_code_opens_the_door_once(api: Api) -> None:
    login = await person(api)
    secret, _ = await _with_totp(api, login)
    assert kind(await log_in(api, login, PASSWORD)) == (401, "totp_needed")
    used = code_at(secret, step_of(api.clock.at))
    assert (await log_in(api, login, PASSWORD, used)).status == 401
    api.clock.at += timedelta(seconds=30)
    code = code_at(secret, step_of(api.clock.at))
    assert (await log_in(api, login, "wrong", code)).status == 401
    both = await asyncio.gather(*(log_in(api, login, PASSWORD, code) for _ in range(2)))
    assert sorted(answer.status for answer in both) == [201, 401]
    old = code_at(secret, step_of(api.clock.at) - 4)
    assert (await log_in(api, login, PASSWORD, old)).status == 401


async def test_a_recovery_code_opens_the_door_once(api: Api) -> None:
    login = await person(api)
    _, codes = await _with_totp(api, login)
    assert len(set(codes)) == 10
    assert (await log_in(api, login, PASSWORD, codes[3].upper())).status == 201
    assert (await log_in(api, login, PASSWORD, codes[3])).status == 401
    stored = await api.runtime.pool.fetch("SELECT code_hash FROM recovery_codes")
    assert all(codes[0].encode() not in row["code_hash"] for row in stored)


@pytest.mark.parametrize("code", ["１２３４５６", "²²²²²²", "٠١٢٣٤٥", "😀", "12345\u0301"])
async def test_a_code_of_other_digits_is_a_wrong_code(api: Api, code: str) -> None:
    login = await person(api)
    token = (await log_in(api, login, PASSWORD)).json["token"]
    assert (await api.post("/me/totp", token, {"password": PASSWORD})).status == 201
    assert (await api.post("/me/totp/confirm", token, {"code": code})).status == 422
    await api.runtime.pool.execute("UPDATE users SET totp_confirmed_at = $1", api.clock.at)
    assert kind(await log_in(api, login, PASSWORD, code)) == (401, "login_failed")


async def test_asking_for_the_code_shuts_nobody_out(api: Api) -> None:
    login = await person(api)
    await _with_totp(api, login)
    for _ in range(FREE_ATTEMPTS + 2):
        assert kind(await log_in(api, login, PASSWORD)) == (401, "totp_needed")


async def test_a_lost_authenticator_is_taken_away_by_somebody_else(api: Api) -> None:
    login = await person(api)
    await _with_totp(api, login)
    path = f"/users/{api.teams['county'].operator.id}/totp/reset"
    assert (await api.post(path, ADMIN)).status == 204
    assert (await log_in(api, login, PASSWORD)).status == 201


async def test_sessions_end_by_themselves_and_by_hand(api: Api) -> None:
    login = await person(api)
    tokens = [(await log_in(api, login, PASSWORD)).json["token"] for _ in range(4)]
    listed = (await api.get("/sessions", tokens[0])).json["items"]
    assert [item["current"] for item in listed].count(True) == 1
    assert (await api.post("/logout", tokens[0])).status == 204
    assert (await api.get("/me", tokens[0])).status == 401
    ended = next(item["id"] for item in listed if not item["current"])
    # The newest of the others, that of tokens[3].
    assert (await api.call("DELETE", f"/sessions/{ended}", tokens[1])).status == 204
    assert (await api.get("/me", tokens[3])).status == 401
    api.clock.at += IDLE - timedelta(seconds=1)
    assert (await api.get("/me", tokens[1])).status == 200
    api.clock.at += timedelta(seconds=1)
    assert (await api.get("/me", tokens[2])).status == 401  # was not used
    for _ in range(int(LIFETIME / IDLE) * 2):
        api.clock.at += IDLE / 2
        last = await api.get("/me", tokens[1])
    assert last.status == 401  # used all the time, and over all the same


async def test_nobody_ends_the_sessions_of_others(api: Api) -> None:
    login = await person(api)
    session = (await log_in(api, login, PASSWORD)).json
    path = f"/sessions/{session['id']}"
    assert (await api.call("DELETE", path, ("county", "viewer"))).status == 404
    assert (await api.call("DELETE", path, ("school", "admin"))).status == 404
    theirs = f"/sessions?user_id={session['user_id']}"
    assert (await api.get(theirs, ("county", "viewer"))).status == 403
    assert (await api.get(theirs, ("school", "admin"))).status == 404
    assert len((await api.get(theirs, ADMIN)).json["items"]) == 2
    assert (await api.call("DELETE", path, ADMIN)).status == 204
    assert (await api.get("/me", session["token"])).status == 401


async def test_a_new_password_ends_the_other_sessions(api: Api) -> None:
    login = await person(api)
    first, second = [(await log_in(api, login, PASSWORD)).json["token"] for _ in range(2)]
    body = {"current": PASSWORD, "new": PASSWORD + " staple"}
    assert (await api.post("/me/password", first, body)).status == 204
    assert [(await api.get("/me", token)).status for token in (first, second)] == [200, 401]


async def test_who_is_out_of_service_has_no_session(api: Api) -> None:
    login = await person(api)
    token = (await log_in(api, login, PASSWORD)).json["token"]
    user = api.teams["county"].operator.id
    assert (await api.patch(f"/users/{user}", ADMIN, {"disabled": True})).status == 200
    assert (await api.get("/me", token)).status == 401
    assert (await log_in(api, login, PASSWORD)).status == 401


@pytest.mark.attack
async def test_nobody_takes_over_whoever_may_do_more(api: Api) -> None:
    async with transaction(api.runtime.pool) as conn:
        manager = await make_user(
            conn,
            now=api.clock.at,
            department_id=api.teams["county"].department_id,
            rights={Right.ACCOUNTS, Right.READ},
        )
        token = await make_token(conn, api.runtime.keyring, manager, api.clock.at)
    await api.post(f"/users/{api.teams['county'].admin.id}/password", await second_admin(api))
    for path in ("password", "password/confirm", "totp/reset"):
        refused = await api.post(f"/users/{api.teams['county'].admin.id}/{path}", token)
        assert kind(refused) == (403, "right_not_yours")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/me/password", {"current": "x", "new": PASSWORD}),
        ("/me/totp", {"password": "x"}),
        ("/me/totp/confirm", {"code": "123456"}),
        ("/logout", None),
    ],
)
async def test_a_key_changes_nothing_of_what_its_user_logs_in_with(
    api: Api, path: str, body: Any
) -> None:
    assert kind(await api.post(path, ("county", "operator"), body)) == (403, "session_needed")


async def test_words_of_ones_own_take_a_key(api: Api) -> None:
    """Two persons grant it, and nobody but one person logs in."""
    token = (await log_in(api, await person(api, "admin"), PASSWORD)).json["token"]
    body = {"to": ["19790000001"], "text": "【旌德县教体局】家长会改在周五下午三点，地点不变。"}
    assert kind(await api.post("/messages", token, body)) == (403, "key_needed")
    may = {who: (await api.get("/me", who)).json["may"] for who in (token, api.tokens[ADMIN])}
    assert "send:text" not in may[token]
    assert set(may[api.tokens[ADMIN]]) - set(may[token]) == {"send:text"}
    made = {"login": "second", "name": "n", "roles": ["admin"]}  # it may be handed on all the same
    assert (await api.post("/users", token, made)).status == 201


@pytest.mark.attack
async def test_logins_are_written_down(api: Api) -> None:
    login = await person(api)
    await log_in(api, login, "wrong")
    acts = await api.runtime.pool.fetch("SELECT action FROM audit_entries ORDER BY id")
    assert [row["action"] for row in acts] == [
        "give_password",
        "confirm_password",
        "login",
        "change_password",
        "login_failed",
    ]
