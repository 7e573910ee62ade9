"""Idempotency-Key: the same request twice has one effect and one answer.

The answer is stored, encrypted, in the transaction of its effect; a request that failed left
nothing and may be tried again under its key. What an answer shows for once, a secret or a person in
full, is not stored: whoever asks again is told that it was done. Nobody meets the requests of
another caller: not even of another key of the same user, which may see less.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from aiohttp import web

from service.accounts.audit.audit import AuditAct
from service.accounts.audit.audit_store import entry_values
from service.api.http import store
from service.api.http.problems import MalformedRequest
from service.crypto import Keyring
from service.errors import Conflict, Invalid
from service.storage.postgres import Connection
from service.words.phrase import phrase

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
MAX_LENGTH = 255
_ANSWER = "idempotent_answer"


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and a JSON body. tag: the version of what it shows; none where it has none. as_of:
    of one that a standby gave, up to when it knows everything.
    """

    status: int
    body: bytes
    tag: str = ""
    as_of: datetime | None = None


@dataclass(frozen=True, slots=True)
class Ticket:
    """A request under a key; the fingerprint tells one body from another.

    caller_id: the first key of the grant with which the user asks, or the user who has logged in.
    replayable: whether its answer may be stored.
    """

    user_id: UUID
    caller_id: UUID
    key: str
    fingerprint: bytes
    replayable: bool

    async def stored_answer(self, conn: Connection, keyring: Keyring) -> Answer | None:
        """The answer this request had before, if it had one.

        Raises:
            Conflict: a request under this key is being answered right now, or was answered for
                once.
            Invalid: the key was used for something else.
        """
        stored = await store.take_key(conn, self.caller_id, self.key)
        if not stored["free"]:
            raise Conflict(
                phrase("a request with this {header} is in progress; ask again", header=HEADER),
                code="in_progress",
            )
        if not stored["stored"]:
            return None
        if stored["fingerprint"] != self.fingerprint:
            raise Invalid.at(
                HEADER,
                phrase("this {header} was used for another request; take a new one", header=HEADER),
                code="idempotency_key_reused",
            )
        if stored["body"] is None:
            raise Conflict(
                phrase(
                    "this was done before under this {header}, and its answer was for once:"
                    " it is not kept; ask for what was made, or take a new one",
                    header=HEADER,
                ),
                code="answered_once",
            )
        return Answer(stored["status"], keyring.decrypt_bytes(_ANSWER, stored["body"]))

    async def keep(
        self,
        conn: Connection,
        keyring: Keyring,
        answer: Answer,
        act: AuditAct | None,
        now: datetime,
    ) -> None:
        """Store the answer, or that there was one, and with it the audit entry of the act, if it
        is one, in the transaction of its effect.

        Raises:
            Overtaken: the same request has been answered meanwhile.
        """
        body = keyring.encrypt_bytes(_ANSWER, answer.body) if self.replayable else None
        kept = (self.fingerprint, answer.status, body)
        entry = None if act is None else entry_values(keyring, act)
        await store.insert_answer(conn, (self.user_id, self.caller_id), self.key, kept, entry, now)


def key_of(request: web.Request) -> str | None:
    """The key of a request, if it has one.

    Raises:
        MalformedRequest: it is empty, too long, or not plain text.
    """
    key = request.headers.get(HEADER)
    if key is None:
        return None
    if not 0 < len(key) <= MAX_LENGTH or not (key.isascii() and key.isprintable()):
        raise MalformedRequest(
            phrase(
                "{header} must be 1 to {max_length} plain characters",
                header=HEADER,
                max_length=MAX_LENGTH,
            )
        )
    return key
