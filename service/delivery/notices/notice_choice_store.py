"""The table of what persons want to be told of, in SQL."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from service.storage import sql
from service.storage.postgres import Connection, Record


async def find_choice(conn: Connection, user_id: UUID) -> Record | None:
    """What a user chose: kinds, packs, way, mail_cipher, language, mail_proved_at; None: nothing
    yet.
    """
    return await sql.fetchrow(
        conn,
        "SELECT kinds, packs, way, mail_cipher, language, mail_proved_at FROM notice_choices"
        " WHERE user_id = :user_id",
        user_id=user_id,
    )


async def set_choice(
    conn: Connection,
    user_id: UUID,
    kinds: Sequence[str],
    way: str,
    mail: tuple[bytes | None, datetime | None],
    language: str,
    now: datetime,
    *,
    packs: bool,
) -> None:
    """Keep what a user chose. mail: the address as a cipher, and since when it is proved. packs:
    a mail of each version of a pack is wanted.
    """
    await sql.execute(
        conn,
        """
        INSERT INTO notice_choices (user_id, kinds, way, mail_cipher, language, chosen_at,
                                    mail_proved_at, packs)
        VALUES (:user_id, :kinds, :way, :mail_cipher, :language, :now, :mail_proved_at, :packs)
        ON CONFLICT (user_id) DO UPDATE SET kinds = excluded.kinds, way = excluded.way,
            mail_cipher = excluded.mail_cipher, language = excluded.language,
            chosen_at = excluded.chosen_at, mail_proved_at = excluded.mail_proved_at,
            packs = excluded.packs
        """,
        user_id=user_id,
        kinds=list(kinds),
        way=way,
        mail_cipher=mail[0],
        mail_proved_at=mail[1],
        language=language,
        now=now,
        packs=packs,
    )
