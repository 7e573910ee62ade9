"""An act that lasts, as others see it: waiting, under way, ended, or broken off (pure)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

LEASE = timedelta(seconds=30)
"""So long an act counts as under way after its process has said so for the last time."""
EVERY_SECONDS = 1.0
"""How often a process says how far it is."""
KEPT = timedelta(days=30)
"""How long what became of an act is kept; the audit trail has who began it for good."""


@dataclass(slots=True)
class LongProgress:
    """How much is done of all, while it is done; total: None while nobody knows."""

    done: int = 0
    total: int | None = None


class LongActState(StrEnum):
    """How an act that lasts stands."""

    WAITING = "waiting"  # nobody has taken it up yet
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    BROKEN_OFF = "broken_off"  # whoever did it has ended without a word, or nobody took it up


@dataclass(frozen=True, slots=True)
class LongAct:
    """One row. total: None while nobody knows. lives: whether its lease still holds."""

    id: UUID
    action: str
    object_id: str | None
    user_id: UUID
    began_at: datetime
    begun: bool
    done: int
    total: int | None
    ended_at: datetime | None
    failed: bool
    result: dict[str, Any] | None
    lives: bool

    @property
    def state(self) -> LongActState:
        """How it stands now."""
        if self.ended_at is not None:
            return LongActState.FAILED if self.failed else LongActState.DONE
        if not self.lives:
            return LongActState.BROKEN_OFF
        return LongActState.RUNNING if self.begun else LongActState.WAITING
