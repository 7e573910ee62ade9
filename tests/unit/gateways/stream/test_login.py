"""What every stream gateway keeps to when it logs in, and what it does not log in with."""

from typing import Any

import pytest
from pydantic import ValidationError

from service.channels.contract.gateway import LoginRefused, SubmitResult, Unparseable, Unreachable
from service.channels.contract.outcome import Outcome
from tests.harness.protocols import each, rows
from tests.harness.scripted import Protocol, answer, submissions
from tests.harness.session import SECRET, carrier, soon

NO_PROOF = "the answer to its login has no digest of the gateway's"
NOT_VERIFIED = {"sgip": NO_PROOF, "smpp": NO_PROOF}
UNVERIFIED = {"verify_gateway": False}
"""As a channel was stored when nobody had to say why."""
BECAUSE = {"unverified_because": "运营商书面说明其摘要算法不同"}


@rows(
    "asked, answered, options",
    {
        "cmpp": [
            ("cmpp20-connect", "cmpp20-connect-resp-ok", {"version": "2.0"}),
            ("cmpp30-connect", "cmpp30-connect-resp-ok", {"version": "3.0"}),
        ],
        "sgip": [("sgip-bind-sp", "sgip-bind-resp-ok", {})],
        "smgp": [("smgp-login", "smgp-login-resp-ok", {})],
        "smpp": [("smpp-bind-trx", "smpp-bind-trx-resp", {})],
    },
)
async def test_the_login_is_the_recorded_packet(
    protocol: Protocol, asked: str, answered: str, options: dict[str, Any]
) -> None:
    """SGIP's sequence number is the only part of it that is another each time: it has the date."""
    async with protocol.opening(**options) as (gateway, task, peer):
        login, recorded = await peer.read_frame(), protocol.recorded(asked)
        sequence = gateway.link.sequence_at
        if protocol.name == "sgip":
            recorded = recorded[:8] + login[sequence] + recorded[20:]
        assert login.hex() == recorded.hex()
        assert not gateway.link.ready
        accepted = protocol.recorded(answered)
        peer.writer.write(accepted[: sequence.start] + login[sequence] + accepted[sequence.stop :])
        await task
        assert gateway.link.ready
        assert not gateway.lost.is_set()


@rows(
    "status, retryable, words",
    {
        "cmpp": [
            (2, False, "account is not known"),
            (3, False, "do not match"),
            (4, False, "version"),
            (56, True, "too many connections"),
            (57, False, "IP address"),
            (199, True, "own error"),
        ],
        "sgip": [
            (1, False, "wrong login name or password"),
            (3, True, "too many"),
            (199, True, "own code"),
        ],
        "smgp": [
            (1, True, "busy"),
            (2, True, "too many connections"),
            (20, False, "IP address"),
            (21, False, "do not match"),
            (22, False, "version"),
            (76, False, "expired"),
            (199, True, "own code"),
        ],
        "smpp": [
            (0x0E, False, "password is wrong"),
            (0x0F, False, "system_id is not known"),
            (0x53, False, "system_type"),
            (0x03, False, "set `bind` to another"),
            (0x05, True, "logged in already"),
            (0x0D, True, "not given"),
            (0x401, True, "own error"),
        ],
    },
)
async def test_a_refused_login_says_why_and_whether_to_try_again(
    protocol: Protocol, status: int, retryable: bool, words: str
) -> None:
    async with protocol.opening() as (gateway, task, peer):
        await peer.accept_login(status)
        with pytest.raises(LoginRefused, match=words) as refused:
            await task
        assert (refused.value.retryable, refused.value.code) == (retryable, str(status))
        assert not any(secret in str(refused.value) for secret in protocol.secrets)
        await soon(gateway.lost.wait())
        assert not gateway.link.ready


@pytest.mark.attack
@pytest.mark.parametrize("stored", [{}, UNVERIFIED], ids=["as told", "as stored once"])
@each(but=NOT_VERIFIED)
async def test_a_gateway_that_does_not_know_the_secret_gets_no_text(
    protocol: Protocol, stored: dict[str, Any]
) -> None:
    async with protocol.opening(**stored) as (gateway, task, peer):
        await peer.accept_login(secret="another")
        with pytest.raises(LoginRefused, match="turn verify_gateway off") as refused:
            await task
        assert (refused.value.code, refused.value.retryable) == ("unverified", False)
        assert SECRET not in str(refused.value)
        assert await peer.read_to_the_end() == b""
        await soon(gateway.lost.wait())
        (future,) = gateway.submit(submissions(gateway))
        assert await answer(future) == SubmitResult(Outcome.NOT_SENT)


@each(but=NOT_VERIFIED)
async def test_with_a_reason_a_gateway_with_another_digest_is_taken(protocol: Protocol) -> None:
    async with protocol.opening(**UNVERIFIED, **BECAUSE) as (gateway, task, peer):
        await peer.accept_login(secret="another")
        await task
        assert gateway.link.ready


@each(but=NOT_VERIFIED)
def test_the_check_of_the_gateway_is_turned_off_with_a_reason_only(protocol: Protocol) -> None:
    faults = protocol.gateway.settings_faults
    for simulated in (False, True):
        for reason in ("", "  "):
            config = protocol.settings(1, **UNVERIFIED, unverified_because=reason)
            assert list(faults(config, simulated=simulated)) == ["unverified_because"]
    for sound in ({}, UNVERIFIED | BECAUSE):
        assert faults(protocol.settings(1, **sound), simulated=False) == {}


@each()
async def test_nobody_at_the_address_is_unreachable(protocol: Protocol) -> None:
    async with carrier() as scripted:
        port = scripted.port
    gateway = protocol.made(port)
    with pytest.raises(Unreachable, match=f"{port}.*check address") as error:
        await gateway.open()
    assert error.value.retryable
    await gateway.close(drain_seconds=0)


@each()
async def test_a_login_without_an_answer_is_unreachable(protocol: Protocol) -> None:
    async with protocol.opening(response_timeout_seconds=0.1) as (gateway, task, _):
        with pytest.raises(Unreachable, match="no login"):
            await soon(task)
        await soon(gateway.lost.wait())


@each()
async def test_a_carrier_that_hangs_up_during_the_login_is_unreachable(protocol: Protocol) -> None:
    async with protocol.opening() as (_, task, peer):
        peer.writer.close()
        with pytest.raises(Unreachable, match="closed the connection"):
            await soon(task)


@each()
async def test_something_else_at_the_address_is_unparseable(protocol: Protocol) -> None:
    async with protocol.opening() as (gateway, task, peer):
        peer.writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        with pytest.raises(Unparseable, match=f"does not speak {gateway.protocol}"):
            await soon(task)


@rows(
    "body",
    {"cmpp": [bytes(2)], "sgip": [b""], "smgp": [bytes(2)]},
    but={"smpp": "an answer with less than the book has is read: SMSCs leave out its body"},
)
async def test_an_answer_to_the_login_that_cannot_be_read_is_no_login(
    protocol: Protocol, body: bytes
) -> None:
    async with protocol.opening() as (gateway, task, peer):
        asked = await peer.read_frame()
        size = (protocol.header + len(body)).to_bytes(4, "big")
        answered = (int.from_bytes(asked[4:8], "big") | 0x8000_0000).to_bytes(4, "big")
        peer.writer.write(size + answered + asked[8 : protocol.header] + body)
        with pytest.raises(Unparseable, match=f"does not speak {gateway.protocol}"):
            await soon(task)


@each()
async def test_a_cancelled_opening_leaves_no_connection(protocol: Protocol) -> None:
    async with protocol.opening() as (gateway, task, peer):
        await peer.read()
        task.cancel()
        await soon(gateway.lost.wait())
        assert task.cancelled()


@each()
async def test_before_opening_nothing_is_sent(protocol: Protocol) -> None:
    gateway = protocol.made(1)
    (future,) = gateway.submit(submissions(gateway))
    assert await answer(future) == SubmitResult(Outcome.NOT_SENT)
    assert not gateway.lost.is_set()


@rows(
    "wrong",
    {
        "cmpp": [
            {"account": "1234567"},
            {"account": ""},
            {"access_number": "10690000123400000000000"},
            {"access_number": "1069x"},
            {"fee_type": "09"},
            {"account": "9012４"},
            {"account": "90 234"},
            {"account": "90\n234"},
            {"service_id": "短信"},
            {"service_id": "MSG\x00"},
            {"msg_src": "９０１２３４"},
            {"version": "4.0"},
            {"too_fast_codes": [0]},
            {"ascii_part": 160},
        ],
        "sgip": [
            {"login_name": ""},
            {"login_name": "12345678901234567"},
            {"login_name": "名"},
            {"login_password": "12345678901234567"},
            {"login_password": "密"},
            {"listen_password": "密"},
            {"access_number": "106551230000000000000"},
            {"access_number": "1065x"},
            {"node_number": 0},
            {"node_number": 2**32},
            {"corp_id": "123456"},
            {"fee_type": 9},
            {"message_coding": 4},
            {"too_fast_codes": (0,)},
            {"listen_addresses": ("10.0.0.300",)},
            {"listen_any_login": True},
        ],
        "smgp": [
            {"host": ""},
            {"account": "123456789"},
            {"account": ""},
            {"account": "警钟"},
            {"secret": "1234567890123456"},
            {"secret": ""},
            {"login_mode": 1},
            {"access_number": "10690000123400000000000"},
            {"access_number": "1069x"},
            {"fee_type": "09"},
            {"msg_src": "123456789"},
            {"m_service_id": "1" * 22},
            {"priority": 4},
            {"coding": "utf-8"},
            {"too_fast_codes": [0]},
            {"ascii_part": 160},
            {"heartbeat_seconds": 0},
        ],
        "smpp": [
            {"system_id": "a" * 16},
            {"system_id": ""},
            {"password": "p" * 65},
            {"password": "密码"},
            {"sender": ""},
            {"sender": "TWELVE-CHARS"},
            {"sender": "1" * 21},
            {"sender": "通知"},
            {"bind": "both"},
            {"septet_part": 160},
            {"long_text": "none"},
            {"source_ton": 7},
            {"id_form": "octal"},
            {"tls_ca": "not a certificate"},
            {"default_alphabet": "ucs2"},
            {"receipt_offset_hours": 24},
            {"too_fast_codes": [0]},
            {"vendor_parameters": {"14": "31"}},
            {"vendor_parameters": {"1400": "3"}},
        ],
    },
)
def test_settings_that_cannot_work_are_refused(protocol: Protocol, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        protocol.settings(7890, **wrong)
