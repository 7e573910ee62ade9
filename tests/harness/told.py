"""People who want to be told of what waits for them, and what they were told."""

import uuid
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from service.accounts.people import phone_store
from service.accounts.people.model import User
from service.campaigns.approval import approval
from service.campaigns.core.model import Campaign
from service.clock import Clock
from service.crypto import Keyring
from service.delivery.notices import mail_proof_store, mails, notices
from service.delivery.notices.notice_choice import NoticeChoice, NoticeKind, NoticeWay, choose
from service.settings import Settings
from service.storage.postgres import Pool, Record, transaction
from tests.factories import Team, make_draft, phone

LATER = notices.TOGETHER + timedelta(seconds=1)
CONSOLE = "https://tocsin.example.gov.cn"
DOMAIN = "example.gov.cn"


@dataclass
class Told:
    """A department whose campaigns wait, and the notices that come of it; `now` is when they do."""

    pool: Pool
    keyring: Keyring
    settings: Settings
    team: Team
    now: datetime

    async def wants(
        self,
        user: User,
        kinds: Collection[NoticeKind] = tuple(NoticeKind),
        *,
        number: int = 7,
        language: str = "zh",
    ) -> None:
        """The user has proved a phone, and wants texts of these kinds."""
        async with transaction(self.pool) as conn:
            cipher = self.keyring.encrypt("phone", phone(number))
            await phone_store.set_phone(conn, user.id, cipher)
            await phone_store.set_proved(conn, user.id, self.now)
            choice = NoticeChoice(frozenset(kinds), NoticeWay.TEXT, None, language)
            await choose(conn, self.keyring, self.settings, user, choice, self.now)

    async def wants_mail(
        self,
        user: User,
        address: str = f"wang@{DOMAIN}",
        language: str = "zh",
        *,
        proved: bool = True,
    ) -> None:
        """The user wants mails of everything, and has proved the address."""
        async with transaction(self.pool) as conn:
            choice = NoticeChoice(frozenset(NoticeKind), NoticeWay.MAIL, address, language)
            await choose(conn, self.keyring, self.settings, user, choice, self.now)
            if proved:
                await conn.execute("DELETE FROM notice_mails")
                await mail_proof_store.set_proved(conn, user.id, self.now)

    async def submit(self) -> Campaign:
        """A campaign that the operator has put before an approver."""
        async with transaction(self.pool) as conn:
            draft = await make_draft(conn, self.team.operator, now=self.now)
            return await approval.submit(conn, self.team.operator, draft.id, self.now)

    async def send_back(self, campaign_id: uuid.UUID) -> None:
        """The approver returns it."""
        async with transaction(self.pool) as conn:
            await approval.send_back(conn, self.team.approver, campaign_id, "错字", self.now)

    async def make(self, after: timedelta = LATER) -> set[int]:
        """What is due so long after `now` becomes texts and mails; returns the channels to wake."""
        return await notices.make_notices(self.pool, self.keyring, self.settings, self.now + after)

    async def mail(self, clock: Clock, seconds: float = 5.0) -> bool:
        """One turn of sending mails."""
        return await mails.send_mails(
            self.pool, self.keyring, clock, self.settings, seconds=seconds
        )

    async def texts(self) -> list[tuple[str, str]]:
        """Each text that is in a ledger: what it says, and the phone that it goes to."""
        rows = await self.pool.fetch(
            "SELECT r.text, m.phone_cipher FROM runs r JOIN messages m ON m.run_id = r.id"
            " WHERE r.kind = 'reply' ORDER BY r.id, m.no"
        )
        return [(row["text"], self.keyring.decrypt("phone", row["phone_cipher"])) for row in rows]

    async def all(self) -> list[Record]:
        """Every notice, from old to new."""
        return await self.pool.fetch(
            "SELECT n.*, m.state AS mail, m.error, m.attempts FROM notices n"
            " LEFT JOIN notice_mails m ON m.id = n.mail_id ORDER BY n.id"
        )

    async def skips(self) -> list[str | None]:
        """Why each notice was not told, from old to new."""
        return [row["skipped"] for row in await self.all()]

    def with_mail(self, port: int, scheme: str = "smtp+plain") -> "Told":
        """The same with a mail server on this machine."""
        update = {
            "smtp_url": f"{scheme}://127.0.0.1:{port}",
            "mail_from": f"tocsin@{DOMAIN}",
            "mail_domains": DOMAIN,
        }
        return replace(self, settings=self.settings.model_copy(update=update))
