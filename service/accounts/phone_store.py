"""A user's own phone, kept as a cipher, in SQL."""

from uuid import UUID

from service.storage.postgres import Connection


async def get_phone(conn: Connection, user_id: UUID) -> bytes | None:
    """The cipher of a user's own phone."""
    cipher: bytes | None = await conn.fetchval(
        "SELECT phone_cipher FROM users WHERE id = $1", user_id
    )
    return cipher


async def set_phone(conn: Connection, user_id: UUID, cipher: bytes | None) -> None:
    """Set a user's own phone; None: there is none any more."""
    await conn.execute("UPDATE users SET phone_cipher = $2 WHERE id = $1", user_id, cipher)
