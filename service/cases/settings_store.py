"""The county's settings on case figures in SQL: each version is a row, the last one is in force.

They stand beside `county_settings`, which belongs to campaigns: neither of the two packages knows
the other (decision 0497).
"""

from datetime import datetime
from typing import Literal, NamedTuple
from uuid import UUID

from service.cases.week import Period
from service.storage import sql
from service.storage.postgres import Connection

PublicTowns = Literal["week", "quarter"]
BulletinVillages = Literal["own", "all"]


class CaseSettings(NamedTuple):
    """What of villages towns see, and whether the public gets towns by week or by quarter.

    towns_from: the quarter from which on public_towns holds, as 2027-Q2; before: what holds until.
    """

    bulletin_villages: BulletinVillages = "own"
    public_towns: PublicTowns = "quarter"
    towns_from: str = ""
    before: PublicTowns = "quarter"
    version: int = 0

    def public_towns_in(self, quarter: Period) -> PublicTowns:
        """How often the towns of a quarter are public."""
        return self.public_towns if str(quarter) >= self.towns_from else self.before


async def read_settings(conn: Connection) -> CaseSettings:
    """The settings that are in force."""
    row = await conn.fetchrow(
        """
        SELECT bulletin_villages, public_towns, towns_from, before, id AS version
        FROM case_settings ORDER BY id DESC LIMIT 1
        """
    )
    return CaseSettings(**row) if row else CaseSettings()


async def write_settings(
    conn: Connection, settings: CaseSettings, reason: str, user_id: UUID, now: datetime
) -> None:
    """Put a new version in force."""
    await sql.execute(
        conn,
        """
        INSERT INTO case_settings (bulletin_villages, public_towns, towns_from, before, reason,
                                   set_by, set_at)
        VALUES (:bulletin_villages, :public_towns, :towns_from, :before, :reason, :user_id, :now)
        """,
        bulletin_villages=settings.bulletin_villages,
        public_towns=settings.public_towns,
        towns_from=settings.towns_from,
        before=settings.before,
        reason=reason,
        user_id=user_id,
        now=now,
    )
