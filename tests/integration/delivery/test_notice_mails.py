"""Notices by mail, given to a real mail server over TCP: again only if it has not left."""

import asyncio
import contextlib
import logging
import re
import ssl
from datetime import datetime, timedelta
from email.message import EmailMessage
from pathlib import Path

import pytest

from service.campaigns.core.model import Campaign
from service.crypto import Keyring
from service.delivery.notices import mail_store, mails, smtp
from service.delivery.notices.mail_proof import prove_address
from service.delivery.notices.smtp import MailFate
from service.errors import Conflict, Invalid
from service.settings import Settings
from service.storage.postgres import Pool, transaction
from tests.factories import make_team
from tests.harness import certificates
from tests.harness.clocks import HandClock
from tests.harness.mail_server import MailServer, mail_server
from tests.harness.told import CONSOLE, DOMAIN, LATER, Told
from tests.harness.waiting import until

MINUTE = timedelta(minutes=1)
ADDRESS = f"wang@{DOMAIN}"


@pytest.fixture
async def told(pool: Pool, keyring: Keyring, runtime_settings: Settings, now: datetime) -> Told:
    async with transaction(pool) as conn:
        team = await make_team(conn, now=now)
    settings = runtime_settings.model_copy(update={"console_url": CONSOLE})
    return Told(pool, keyring, settings, team, now)


@pytest.fixture
def clock(now: datetime) -> HandClock:
    return HandClock(now + LATER)


async def _due(told: Told, server: MailServer, language: str = "zh") -> tuple[Told, Campaign]:
    """A mail that is to be sent to the approver, by way of this server."""
    told = told.with_mail(server.port)
    await told.wants_mail(told.team.approver, ADDRESS, language)
    campaign = await told.submit()
    await told.make()
    return told, campaign


async def _state(told: Told) -> tuple[str, str]:
    (row,) = await told.all()
    return row["mail"], row["error"]


@pytest.mark.parametrize(
    ("language", "said", "subject"),
    [
        ("zh", "待您签发的任务：1。登录查看：", "警钟：有 1 件事等您处理"),
        ("en", "campaigns for you to approve: 1. Log in to see: ", "Tocsin: 1 waiting for you"),
    ],
)
async def test_a_mail_says_in_the_persons_language_what_waits_and_nothing_else(
    told: Told, clock: HandClock, language: str, said: str, subject: str
) -> None:
    async with mail_server() as server:
        told, campaign = await _due(told, server, language)
        assert await told.mail(clock) is False
        ((sender, recipients, mail),) = server.mails
        for _ in range(3):
            await told.mail(clock)
        assert len(server.mails) == 1
    assert (sender, recipients) == (f"tocsin@{DOMAIN}", [ADDRESS])
    assert mail.get_content().strip() == said + CONSOLE
    assert mail["Subject"] == subject
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Content-Transfer-Encoding"] in {"base64", "7bit"}, "any server takes it"
    assert campaign.plan.name not in mail.as_string()
    assert await _state(told) == ("sent", "")
    assert await told.texts() == []


async def test_ten_submissions_make_one_mail(told: Told, clock: HandClock) -> None:
    async with mail_server() as server:
        told = told.with_mail(server.port)
        await told.wants_mail(told.team.approver)
        for _ in range(10):
            await told.submit()
        await told.make()
        await told.mail(clock)
        ((_, _, mail),) = server.mails
    assert "：10。" in mail.get_content()


async def test_while_the_server_is_away_a_mail_waits_says_why_and_goes_out_later(
    told: Told, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with mail_server() as server:
        told, _ = await _due(told, server)
    with caplog.at_level(logging.WARNING):
        assert await told.mail(clock) is False
    assert "a mail was not sent" in caplog.text
    assert ADDRESS not in caplog.text
    assert await _state(told) == ("waiting", "connection: refused")
    async with mail_server() as server:
        told = told.with_mail(server.port)
        await told.mail(clock)
        assert server.mails == []  # it is tried a minute later
        clock.at += MINUTE
        await told.mail(clock)
        assert len(server.mails) == 1
    assert await _state(told) == ("sent", "")


async def test_after_a_day_without_success_a_mail_is_given_up(told: Told, clock: HandClock) -> None:
    async with mail_server(at_data="451 busy") as server:
        told, _ = await _due(told, server)
        for _ in range(40):
            await told.mail(clock)
            clock.at += timedelta(hours=1)
        state, error = await _state(told)
        assert server.mails == []
    assert (state, error) == ("given_up", mails.TOO_LATE + "mail: the server answered 451")
    async with told.pool.acquire() as conn:
        assert await mail_store.count_mails(conn, told.now) == {"given_up": 1}


async def test_an_address_that_the_server_refuses_is_not_tried_again(
    told: Told, clock: HandClock
) -> None:
    async with mail_server(at_rcpt="550 nobody of that name") as server:
        told, _ = await _due(told, server)
        await told.mail(clock)
    assert await _state(told) == ("given_up", "recipient: the server answered 550")


async def test_a_mail_without_an_answer_is_uncertain_and_not_sent_again(
    told: Told, clock: HandClock
) -> None:
    async with mail_server(at_data="") as server:
        told, _ = await _due(told, server)
        await told.mail(clock)
        assert (await _state(told))[0] == "uncertain"
        server.at_data = "250 OK"
        for _ in range(5):
            clock.at += timedelta(hours=1)
            await told.mail(clock)
        assert len(server.mails) == 1


@pytest.mark.parametrize("command", ["MAIL", "DATA"])
async def test_whoever_dies_with_a_mail_leaves_it_uncertain_and_nobody_sends_it_again(
    told: Told, clock: HandClock, command: str
) -> None:
    async with mail_server(hangs=command) as server:
        told, _ = await _due(told, server)
        dying = asyncio.create_task(told.mail(clock, seconds=60))
        await until(server.hung.is_set)
        dying.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await dying
        server.hangs = ""
        await told.mail(clock)
        assert await _state(told) == ("leaving", "")
        clock.at += mails.CLAIM
        await told.mail(clock)
        assert await _state(told) == ("uncertain", mails.LOST)
        assert len(server.mails) == (command == "DATA")


async def test_a_server_that_hangs_is_given_up_after_its_time(told: Told, clock: HandClock) -> None:
    async with mail_server(hangs="MAIL") as server:
        told, _ = await _due(told, server)
        await told.mail(clock, seconds=0.2)
    assert await _state(told) == ("waiting", "sender: no answer in time")


async def test_however_many_do_it_at_once_a_mail_is_sent_once(told: Told, clock: HandClock) -> None:
    async with mail_server() as server:
        told, _ = await _due(told, server)
        await asyncio.gather(*[told.mail(clock) for _ in range(6)])
        assert len(server.mails) == 1


async def test_an_address_that_was_taken_away_gets_nothing(told: Told, clock: HandClock) -> None:
    async with mail_server() as server:
        told, _ = await _due(told, server)
        await told.wants(told.team.approver, [])
        await told.mail(clock)
        assert server.mails == []
    assert await _state(told) == ("given_up", mails.NO_ADDRESS)


async def test_where_no_mail_server_is_set_up_any_more_it_says_so(told: Told) -> None:
    with_mail = told.with_mail(1)
    await with_mail.wants_mail(told.team.approver)
    await told.submit()
    await told.make()
    assert await told.skips() == ["no_mail_server"]


@pytest.mark.attack
@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
async def test_a_password_and_a_mail_go_only_to_a_server_that_is_trusted(
    told: Told, tmp_path: Path, scheme: str
) -> None:
    made = certificates.make(tmp_path, "localhost")
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_side.load_cert_chain(made.server)
    trusting = ssl.create_default_context(cadata=made.authority)
    message = EmailMessage()
    message["From"], message["To"] = f"tocsin@{DOMAIN}", ADDRESS
    async with mail_server(
        server_side, starts_tls=scheme == "smtp", password=("tocsin", "p:w@rd")
    ) as server:
        url = f"{scheme}://tocsin:p%3Aw%40rd@localhost:{server.port}"
        refused = await smtp.send(url, message)
        assert refused.fate is MailFate.LATER
        assert refused.error == "connection: the server's certificate is not to be trusted"
        assert (server.logins, server.mails) == ([], [])
        wrong = await smtp.send(url.replace("p%3A", "q"), message, tls=trusting)
        assert wrong.error == "login: the server answered 535"
        assert (await smtp.send(url, message, tls=trusting)).fate is MailFate.SENT
        assert server.logins[-1] == ("tocsin", "p:w@rd")


@pytest.mark.attack
async def test_a_server_without_tls_gets_neither_password_nor_mail(told: Told) -> None:
    message = EmailMessage()
    message["From"], message["To"] = f"tocsin@{DOMAIN}", ADDRESS
    async with mail_server() as server:
        found = await smtp.send(f"smtp://tocsin:secret@127.0.0.1:{server.port}", message)
        assert found.fate is MailFate.LATER
        assert (server.logins, server.mails) == ([], [])


# ---- an address is proved


def _code(mail: EmailMessage) -> str:
    found = re.search(r"\d{6}", mail.get_content())
    assert found
    return found[0]


async def _give(told: Told, code: str, address: str = ADDRESS) -> None:
    """What the page does, whose tries stay counted."""
    try:
        async with told.pool.acquire() as conn:
            await prove_address(
                conn, told.keyring, told.team.approver, address, code, told.now + LATER
            )
    finally:
        told.now += timedelta(seconds=1)


async def test_a_new_address_gets_a_code_and_no_notice_before_it_is_proved(
    told: Told, clock: HandClock
) -> None:
    async with mail_server() as server:
        told = told.with_mail(server.port)
        approver = told.team.approver
        await told.wants_mail(approver, ADDRESS, proved=False)
        await told.submit()
        await told.make()
        await told.mail(clock)
        ((_, recipients, mail),) = server.mails
        assert recipients == [ADDRESS]
        assert mail["Subject"] == "警钟：邮箱验证码"
        (row,) = await told.all()
        assert row["skipped"] == "no_proved_mail"
        assert await told.pool.fetchval("SELECT code_cipher FROM notice_mails") is None, "it left"
        await _give(told, _code(mail))
        await told.wants_mail(approver, ADDRESS, proved=False)  # saved once more: it stays proved
        told.now += timedelta(minutes=20)
        await told.submit()
        await told.make()
        clock.at = told.now + LATER
        await told.mail(clock)
        assert len(server.mails) == 2
        assert "待您签发的任务" in server.mails[1][2].get_content()


async def test_a_wrong_code_is_counted_and_the_right_one_is_too_late_then(
    told: Told, clock: HandClock
) -> None:
    async with mail_server() as server:
        told = told.with_mail(server.port)
        await told.wants_mail(told.team.approver, ADDRESS, proved=False)
        await told.mail(clock)
        right = _code(server.mails[0][2])
        wrong = "000000" if right != "000000" else "000001"
        for left in (4, 3, 2, 1, 0):
            with pytest.raises(Invalid) as refused:
                await _give(told, wrong)
            assert f"{left} tries" in str(refused.value.fields["code"])
        with pytest.raises(Conflict):
            await _give(told, right)


async def test_a_code_proves_the_address_that_it_went_to_and_no_other(
    told: Told, clock: HandClock
) -> None:
    other = f"li@{DOMAIN}"
    async with mail_server() as server:
        told = told.with_mail(server.port)
        await told.wants_mail(told.team.approver, ADDRESS, proved=False)
        await told.mail(clock)
        code = _code(server.mails[0][2])
        await told.wants_mail(told.team.approver, other, proved=False)
        with pytest.raises(Invalid):
            await _give(told, code, other)
        told.now += timedelta(minutes=31)
        await told.wants_mail(told.team.approver, other, proved=False)
        told.now += timedelta(minutes=31)
        with pytest.raises(Conflict) as refused:
            await told.wants_mail(told.team.approver, other, proved=False)
        assert refused.value.code == "too_many"
