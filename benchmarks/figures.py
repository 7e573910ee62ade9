"""What one run of a system amounts to, and how it is printed."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

CARRIER, CLIENT = "simulator", "client and sink"
BESIDE = frozenset({CARRIER, CLIENT})
"""The processes that are beside every system and part of none."""


@dataclass(frozen=True, slots=True)
class Figures:
    """One run.

    messages: how many. submitted: a second, with the result recorded. recorded: messages a second
    whose receipt was recorded too, from the first mark on. micros: of the processor a message, by
    process. megabytes: peak memory, by process. final_ms: p50 and p99 from the carrier's yes to
    the recorded receipt, the carrier's own delay included. handed_ms: p50 and p99 from the mark
    to the recorded result; empty where there is no mark.
    """

    messages: int
    submitted: float
    recorded: float
    micros: Mapping[str, float]
    megabytes: Mapping[str, float]
    final_ms: tuple[float, float]
    handed_ms: tuple[float, ...] = ()
    notes: Sequence[str] = field(default=())

    @property
    def system_micros(self) -> float:
        """The processor time a message of all that is not the carrier."""
        return sum(used for name, used in self.micros.items() if name not in BESIDE)

    @property
    def system_megabytes(self) -> float:
        """The peak memory of all that is not the carrier; of PostgreSQL the postmaster's."""
        return sum(used for name, used in self.megabytes.items() if name not in BESIDE)

    def lines(self) -> list[str]:
        """Everything, for people."""
        final, handed = (
            " / ".join(f"{value:,.0f}" for value in values)
            for values in (self.final_ms, self.handed_ms)
        )
        found = [
            f"submitted     {self.submitted:8,.0f} messages/s, result recorded",
            f"recorded      {self.recorded:8,.0f} messages/s, receipt recorded",
            f"p50 / p99     {final} ms, accepted to final",
        ]
        if handed:
            found.append(f"p50 / p99     {handed} ms, marked to submitted")
        for name, used in sorted(self.micros.items(), key=lambda item: -item[1]):
            memory = self.megabytes.get(name)
            peak = f"{memory:6,.0f} MB peak" if memory else ""
            found.append(f"{name:<12}  {used:8.1f} µs/message  {peak}")
        found.append(
            f"{'together':<12}  {self.system_micros:8.1f} µs/message  without what is beside it"
        )
        return [*found, *self.notes]


def percentiles(values: Iterable[float]) -> tuple[float, float]:
    """The 50th and the 99th; NaN if there is nothing."""
    ordered = sorted(values)
    if not ordered:
        return float("nan"), float("nan")
    return ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]


def middle(runs: Sequence[Figures]) -> Figures:
    """The run whose recorded rate is the middle one; of two, the slower."""
    rate = statistics.median_low([run.recorded for run in runs])
    return next(run for run in runs if run.recorded == rate)
