"""One table: our whole system beside Kannel and beside the limits of the machine.

Run as `python -m benchmarks.table [--rounds N] [--messages N] [--window N] [--answers SECONDS]`;
`make bench` does. With `--answers` the carrier takes so long to answer a submit.
Everybody sends the same text of 60 characters to the same simulated carrier, and every message
gets one receipt. The rounds are interleaved, and of each system the run in the middle is shown, so
that a disturbed minute spoils one run of each and no comparison.
"""

import argparse
import asyncio
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import uvloop

from benchmarks import broadcast, kannel, postgres, session
from benchmarks.figures import Figures, middle

DESTINATIONS = 50
RECEIPT_DELAY = 0.5
KANNEL = "Kannel 1.4.5, SMPP"
OURS_BESIDE_KANNEL = "Tocsin, SMPP"

System = Callable[[], Coroutine[Any, Any, Figures]]


@dataclass
class Table:
    """What is measured, and what was. skipped: why a system could not be measured."""

    systems: dict[str, System]
    runs: dict[str, list[Figures]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def measure(self) -> None:
        """Each system once."""
        for name, system in self.systems.items():
            if name in self.skipped:
                continue
            print(f"… {name}", file=sys.stderr)
            try:
                self.runs.setdefault(name, []).append(uvloop.run(system()))
            except kannel.NotHere as error:
                self.skipped[name] = str(error)

    def lines(self) -> list[str]:
        """The table and what it means."""
        found = [_row("", "submitted/s", "recorded/s", "CPU ms", "p50 / p99 ms", "MB")]
        for name, runs in self.runs.items():
            shown = middle(runs)
            found.append(
                _row(
                    name,
                    f"{shown.submitted:,.0f}",
                    f"{shown.recorded:,.0f}",
                    f"{shown.system_micros / 1000:.3f}",
                    f"{shown.final_ms[0]:,.0f} / {shown.final_ms[1]:,.0f}",
                    f"{shown.system_megabytes:,.0f}",
                )
            )
        found += [f"{name}: skipped, {why}" for name, why in self.skipped.items()]
        return [*found, *self._ratio()]

    def details(self) -> list[str]:
        """Each system's middle run, whole."""
        found = []
        for name, runs in self.runs.items():
            found += ["", f"{name}, the middle of {len(runs)}:"]
            found += [f"  {line}" for line in middle(runs).lines()]
        return found

    def _ratio(self) -> list[str]:
        if KANNEL not in self.runs or OURS_BESIDE_KANNEL not in self.runs:
            return []
        ours, theirs = middle(self.runs[OURS_BESIDE_KANNEL]), middle(self.runs[KANNEL])
        rate = f"{ours.recorded / theirs.recorded:.2f} times the recorded messages/s"
        processor = f"{ours.system_micros / theirs.system_micros:.2f} times the processor for each"
        return [
            f"Tocsin to Kannel over SMPP: {rate}, {processor};",
            "Tocsin's are in PostgreSQL, Kannel's in memory and lost in a crash",
        ]


def _row(name: str, *cells: str) -> str:
    widths = 12, 12, 8, 16, 7
    columns = (f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
    return f"{name:<28}" + "".join(columns)


def limits(messages: int) -> list[str]:
    """What the machine would give a sender without a ledger, and a ledger without a sender."""
    found = [_row("limits", "a second", "", "CPU ms", "", "")]
    for wire in session.WIRES:
        if wire.kind in {"cmpp", "smpp"}:
            for name, (rate, each) in session.measure(wire, messages).items():
                title = f"  {wire.kind} {name}, null server"
                found.append(_row(title, f"{rate:,.0f}", "", f"{each / 1000:.3f}", "", ""))
    for clients in (1, 2):
        rate, each = asyncio.run(postgres.measure(clients, messages))
        title = f"  PostgreSQL alone, {clients} client{'s' * (clients > 1)}"
        found.append(_row(title, f"{rate:,.0f}", "", f"{each / 1000:.3f}", "", ""))
    return found


def main() -> None:
    """Measure everything and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--messages", type=int, default=50_000)
    parser.add_argument("--window", type=int, default=256)
    parser.add_argument("--answers", type=float, default=0.0)
    given = parser.parse_args()
    carrier = {"window": given.window, "answers": given.answers}
    ours = partial(broadcast.Options, people=given.messages, **carrier)
    table = Table(
        {
            "Tocsin, CMPP": lambda: broadcast.run(ours(delay=RECEIPT_DELAY)),
            OURS_BESIDE_KANNEL: lambda: broadcast.run(ours(protocol="smpp", delay=RECEIPT_DELAY)),
            f"Tocsin, CMPP, {DESTINATIONS} a submit": lambda: broadcast.run(
                ours(destinations=DESTINATIONS, delay=RECEIPT_DELAY)
            ),
            KANNEL: lambda: kannel.run(given.messages, given.window, RECEIPT_DELAY, given.answers),
        }
    )
    machine = limits(given.messages)
    for _ in range(given.rounds):
        table.measure()
    print(f"{given.messages:,} messages of 60 characters, window {given.window}, the middle of "
          f"{given.rounds}; the carrier holds receipts back for {RECEIPT_DELAY:g} s, which is in "
          "p50 and p99; CPU and MB without the carrier")  # fmt: skip
    print("\n".join([*table.lines(), *machine, *table.details()]))


if __name__ == "__main__":
    main()
