"""What lint says of a text in the name of a department: its sender, and the county's policy."""

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from service.ledger.message_class import MessageClass
from service.messages.lint import lint_store
from service.messages.lint.draft import DraftAudience
from service.messages.lint.lint import Finding, lint
from service.messages.policy import for_unread_words
from service.messages.signature import head
from service.storage.postgres import Connection

_THREAD = ThreadPoolExecutor(1, "lint")
"""One text of a process is looked at after the other. Two threads that compute are no faster than
one, and whoever waits for the interpreter waits for both, again and again (decision 0381).
"""


async def judge(
    conn: Connection,
    department_id: UUID,
    text: str,
    message_class: MessageClass,
    values: Mapping[str, str] | None = None,
    *,
    audience: DraftAudience | None = None,
    remember_at: datetime | None = None,
    unread: bool = False,
) -> list[Finding]:
    """All findings on a text that a department would send, looked for in a thread, after those that
    others have handed in: a text may be made to keep lint busy, and no other request waits for it.

    audience: who would read it, where that is known.
    remember_at: now, to compare it with what the department sent before.
    unread: whether no second person will read it; then no level is below the shipped one, and its
        signature must be registered, the county's as well.
    """
    sent: Sequence[str] = ()
    if remember_at is not None:
        sent = await lint_store.texts_sent(conn, department_id, remember_at)
    policy = await lint_store.policy_get(conn)
    signature = "" if unread else head(text).strip("【】")
    return await _look(
        text,
        values,
        message_class=message_class,
        sender=await lint_store.sender_get(conn, department_id, signature),
        policy=for_unread_words(policy) if unread else policy,
        audience=audience,
        sent_before=sent,
    )


async def judge_as_one(
    conn: Connection, department_id: UUID, texts: Sequence[tuple[str, MessageClass]]
) -> list[list[Finding]]:
    """The findings on each of several texts, with their classes, that a department would send and
    that begin with the same signature; as `judge`, but the sender is looked up once for all.
    """
    if not texts:
        return []
    policy = await lint_store.policy_get(conn)
    sender = await lint_store.sender_get(conn, department_id, head(texts[0][0]).strip("【】"))
    return [
        await _look(text, message_class=message_class, sender=sender, policy=policy)
        for text, message_class in texts
    ]


async def _look(
    text: str, values: Mapping[str, str] | None = None, **options: Any
) -> list[Finding]:
    """What lint finds in a text, after the texts that were handed in before."""
    look = partial(lint, text, values, **options)
    return await asyncio.get_running_loop().run_in_executor(_THREAD, look)
