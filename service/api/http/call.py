"""What a handler is given, and what it may answer other than a model."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Generic, TypeVar
from urllib.parse import quote
from uuid import UUID

from pydantic import BaseModel

from service.accounts.audit.audit import Via
from service.accounts.keys.key import Key, Mode
from service.accounts.long_acts.long_act import LongProgress
from service.accounts.people.model import By, User
from service.errors import TocsinError
from service.queue import Job
from service.runtime import Runtime
from service.storage.postgres import Connection, Pool


@dataclass(frozen=True, slots=True)
class Visit:
    """A request of somebody who is not known yet. pool: where whoever asks is looked up. via: as
    the audit trail has it.
    """

    runtime: Runtime
    pool: Pool
    now: datetime
    address: str
    agent: str
    via: Via = "api"


@dataclass(slots=True)
class Call:
    """One request: who asks, when, and the transaction in which it is answered.

    key, session_id: through which of the two the user asks.
    """

    runtime: Runtime
    conn: Connection
    user: User
    now: datetime
    concerns: tuple[str, str] | None = None
    noted: dict[str, object] = field(default_factory=dict)
    key: Key | None = None
    session_id: UUID | None = None
    jobs: list[tuple[Job, tuple[object, ...]]] = field(default_factory=list)

    def after_commit(self, job: Job, *ids: object) -> None:
        """Enqueue a job once what it works on is committed."""
        self.jobs.append((job, ids))

    def note(self, kind: str = "", object_id: object = None, /, **facts: object) -> None:
        """Say in the audit entry what this act concerns, where neither address nor answer says it.

        Facts are ids, hashes, counts and fixed words, never personal data.
        """
        if kind:
            self.concerns = (kind, str(object_id))
        self.noted.update(facts)

    @property
    def mode(self) -> Mode:
        """What becomes of what is sent here: that of the key, and live without one."""
        return self.key.grant.mode if self.key else Mode.LIVE

    def need_roster(self, name: str) -> None:
        """Refuse a roster that the key may not fill.

        Raises:
            Forbidden: the key is for others.
        """
        if self.key is not None:
            self.key.need_roster(name)

    def by(self, reason: str) -> By:
        """The caller, as the one who does something now and why."""
        return By(self.user.id, reason, self.now)


class Counted(Exception):  # what it carries is the error
    """A refusal after which stays what the handler wrote: an attempt that is counted."""

    def __init__(self, refusal: TocsinError) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


OutT = TypeVar("OutT", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Later(Generic[OutT]):
    """An answer that is made once the transaction is over, since it asks somebody outside."""

    make: Callable[[], Awaitable[OutT]]


@dataclass(frozen=True, slots=True)
class Download:
    """An answer that is a file, sent while it is made.

    plain_name: in ASCII, for programs that cannot read `file_name`; "": that is in ASCII itself.
    progress: its rows, which whoever makes it counts; lines of a text are counted by themselves.
    as_of: as in `Answer`.
    """

    media_type: str
    file_name: str
    chunks: AsyncIterator[str] | AsyncIterator[bytes]
    plain_name: str = ""
    progress: LongProgress = field(default_factory=LongProgress)
    as_of: datetime | None = None

    def dated(self, as_of: datetime) -> "Download":
        """The same from a standby, which knows everything up to then: its name says so."""
        return replace(
            self,
            file_name=_dated(self.file_name, as_of),
            plain_name=_dated(self.plain_name, as_of) if self.plain_name else "",
            as_of=as_of,
        )

    @property
    def disposition(self) -> str:
        """The value of Content-Disposition (RFC 6266)."""
        if not self.plain_name:
            return f'attachment; filename="{self.file_name}"'
        name = quote(self.file_name, safe="")
        return f"attachment; filename=\"{self.plain_name}\"; filename*=UTF-8''{name}"


def _dated(name: str, as_of: datetime) -> str:
    stem, dot, ending = name.rpartition(".")
    return f"{stem}-{as_of:%Y%m%d-%H%M%S}{dot}{ending}"
