"""Each fault in the middle of a broadcast: nobody lost, nobody twice, and on within 30 s.

Run: python -m tests.chaos.matrix [--messages 20000] [--tps 450] [--only ROW] [--seed N] [--list]
     [--silent | --other]

One system with two APIs, schedulers, work processes and channel processes serves all cells one
after another; each is a broadcast of its own to everybody. --silent: the rows of peers that fall
silent, on a system that reaches its servers and carriers through proxies; --other: the same of
carriers that speak SMPP, HTTP and Twilio's. A line a cell is printed,
and what was breached; the exit status is 1 if anything was. Rows are named as --list shows; --only
takes any part of a name, and may be given again. --seed shuffles the order of the cells.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from tests.chaos.cell import Outcome, run_cell
from tests.chaos.faults import FAULTS, OTHER_SILENT_FAULTS, SILENT_FAULTS, Fault
from tests.chaos.other_carriers import OtherWiredSystem
from tests.chaos.system import System
from tests.chaos.wires import WiredSystem

HEADER = (
    f"{'fault':45} {'target':>7} {'taken':>7} {'uncertain':>9} {'statement':>9} {'unsent':>7} "
    f"{'next s':>7} {'silence s':>9} {'whole s':>8} {'took s':>7}  verdict"
)


def line(outcome: Outcome) -> str:
    """A cell as a line of the table."""
    following = "-" if outcome.next is None else f"{outcome.next:.1f}"
    return (
        f"{outcome.fault:45} {outcome.target:7} {outcome.taken:7} {outcome.most_uncertain:9} "
        f"{outcome.by_statement:9} {outcome.never_left:7} {following:>7} {outcome.silence:9.1f} "
        f"{outcome.whole:8.1f} {outcome.seconds:7.0f}  "
        + ("; ".join(outcome.breaches) if outcome.breaches else "ok")
    )


async def run_matrix(system: System, faults: Sequence[Fault]) -> bool:
    """Run the cells one after another, printing each; whether none breached anything."""
    try:
        await system.start()
        await system.ready()
        print(f"at most {system.bound} may be uncertain at once\n{HEADER}", flush=True)
        fine = True
        for fault in faults:
            outcome = await run_cell(system, fault)
            print(line(outcome), flush=True)
            fine = fine and not outcome.breaches
        return fine
    finally:
        system.stop()


def chosen(rows: Sequence[Fault], only: Sequence[str], seed: int | None) -> list[Fault]:
    """The faults asked for, in order, or shuffled by a seed."""
    faults = [f for f in rows if not only or any(part in f.name for part in only)]
    if seed is not None:
        Random(seed).shuffle(faults)
    return faults


def main() -> int:
    """Run the matrix; 0 if nothing was breached."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=20_000, help="people in each broadcast")
    parser.add_argument("--tps", type=int, default=450, help="of each of the three channels")
    parser.add_argument("--only", action="append", default=[], help="part of a row's name")
    parser.add_argument("--seed", type=int, help="shuffle the rows")
    parser.add_argument("--list", action="store_true", help="print the rows' names")
    parser.add_argument("--silent", action="store_true", help="peers that fall silent")
    parser.add_argument(
        "--other", action="store_true", help="carriers that fall silent, by SMPP, HTTP and Twilio"
    )
    parser.add_argument("--data", type=Path, help="folder to keep; default: a temporary one")
    options = parser.parse_args()
    rows: Sequence[Fault] = FAULTS
    make: Callable[..., System] = System
    if options.silent:
        rows, make = SILENT_FAULTS, WiredSystem
    if options.other:
        rows, make = OTHER_SILENT_FAULTS, OtherWiredSystem
    faults = chosen(rows, options.only, options.seed)
    if options.list or not faults:
        print("\n".join(fault.name for fault in rows))
        return 0 if options.list else 2
    with tempfile.TemporaryDirectory(prefix="tocsin-chaos-") as temporary:
        folder = options.data or Path(temporary) / "data"
        fine = asyncio.run(run_matrix(make(folder, options.messages, tps=options.tps), faults))
    print("nobody lost, nobody twice" if fine else "BREACHED, see the lines above")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
