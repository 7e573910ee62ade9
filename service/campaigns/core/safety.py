"""When a run stops by itself: its canary, and the shares with which nobody would go on (pure).

A canary is the first part of a run. The rest waits until it has left and was heard of, and goes on
only if nothing is wrong. Beside it, whatever was handed off lately is judged all the time.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from typing import Any

DEFAULT_WAIT_MINUTES = 10


@dataclass(frozen=True, slots=True)
class Safety:
    """What a campaign sets for itself; None: as the installation has it.

    canary_first, canary_share: how many people go first, or which share of all; one of both.
    canary_wait_minutes: how long receipts are waited for, once they all have left.
    """

    canary_first: int | None = None
    canary_share: float | None = None
    canary_wait_minutes: int = DEFAULT_WAIT_MINUTES
    failed_share: float | None = None
    filtered_share: float | None = None
    opted_out_share: float | None = None
    silence_minutes: int | None = None

    def as_json(self) -> dict[str, Any]:
        """As stored, and as bound by an approval: what is set, and nothing else."""
        return {name: v for name, v in asdict(self).items() if v != getattr(UNSET, name)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Safety":
        """The inverse of `as_json`."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in stored.items() if name in known})

    def canary(self, target: int) -> int | None:
        """How many of this many people go first; None: all at once."""
        if self.canary_first is not None:
            return min(self.canary_first, target)
        if self.canary_share is not None:
            return math.ceil(self.canary_share * target)
        return None


UNSET = Safety()
"""A campaign that sets nothing for itself."""


@dataclass(frozen=True, slots=True)
class SafetyLimits:
    """Where a run is stopped. least: how many texts make a share mean anything."""

    failed_share: float
    filtered_share: float
    opted_out_share: float
    silence: timedelta
    least: int

    def of(self, safety: Safety) -> "SafetyLimits":
        """These limits, where a campaign has none of its own."""
        minutes = safety.silence_minutes
        return SafetyLimits(
            _either(safety.failed_share, self.failed_share),
            _either(safety.filtered_share, self.filtered_share),
            _either(safety.opted_out_share, self.opted_out_share),
            self.silence if minutes is None else timedelta(minutes=minutes),
            self.least,
        )


def _either(own: float | None, general: float) -> float:
    return general if own is None else own


@dataclass(frozen=True, slots=True)
class SafetyFigures:
    """What is known of the texts under judgement.

    judged: those that arrived or failed for good. failed, filtered: of these, those that failed,
    and those for their content. heard: those that a receipt spoke of. silent: handed off longer
    ago than a silence may last, and no receipt yet. handed: all of the run so far. opted_out: of
    its readers.
    """

    judged: int
    failed: int
    filtered: int
    heard: int
    silent: int
    handed: int
    opted_out: int


def alarm(figures: SafetyFigures, limits: SafetyLimits) -> str | None:
    """Why a run must not go on, in words and figures; None: nothing is known against it."""
    f = figures
    if f.judged >= limits.least:
        if f.filtered > limits.filtered_share * f.judged:
            return f"{f.filtered} of {f.judged} texts were refused for their content"
        if f.failed > limits.failed_share * f.judged:
            return f"{f.failed} of {f.judged} texts failed"
    if f.handed >= limits.least and f.opted_out > limits.opted_out_share * f.handed:
        return f"{f.opted_out} of {f.handed} people opted out"
    if f.silent >= limits.least and not f.heard:
        minutes = limits.silence / timedelta(minutes=1)
        return f"no receipt at all for {f.silent} texts handed off over {minutes:g} minutes ago"
    return None


@dataclass(frozen=True, slots=True)
class Canary:
    """How a canary stands: texts that have not left, those without an answer, the last hand-off."""

    unsent: int
    unheard: int
    last_at: datetime | None


def is_over(canary: Canary, safety: Safety, now: datetime) -> bool:
    """Whether a canary can be judged: it has left, and was heard of or waited for long enough."""
    if canary.unsent:
        return False
    wait = timedelta(minutes=safety.canary_wait_minutes)
    return not canary.unheard or canary.last_at is None or now >= canary.last_at + wait
