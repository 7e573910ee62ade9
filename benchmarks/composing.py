"""What making a text costs, with its values judged: microseconds of processor a text.

Run as `python -m benchmarks.composing [--rounds N]`. The people are those of the county's roster in
tests/data, the places those that the program knows. "new" is a process that has judged none of
them, "known" one that has judged all; the best of all rounds counts. To compare two versions, run
it in both by turns.
"""

import argparse
import csv
import gc
import itertools
import sys
import time
import uuid
from collections import deque
from pathlib import Path
from typing import cast
from zoneinfo import ZoneInfo

from service.audience.areas.area import packaged_areas
from service.audience.vocabulary.names import read_name
from service.campaigns.calendar.hours import HourTerms
from service.campaigns.calendar.schedule import DEFAULT_HOURS, DEFAULT_TIMEZONE
from service.coding.parts import split
from service.crypto import Keyring
from service.dispatch.compose import ClaimedSlice, Composer
from service.dispatch.fair_queue import Flow
from service.storage.postgres import Record

ROSTER = Path("tests/data/contacts/county-20000-dirty-gb18030.csv")
REST = "近日多发刷单诈骗，凡先垫资的都是骗局，疑问拨96110。"
TEXTS = {
    "name and village": f"【旌德县反诈中心】{{姓名}}您好，{{村}}{REST}",
    "village": f"【旌德县反诈中心】{{村}}{REST}",
    "no variable": f"【旌德县反诈中心】{REST}",
}


def roster_names() -> list[str]:
    """The names of the roster, as an import stores them."""
    with ROSTER.open(encoding="gb18030", newline="") as file:
        rows = list(csv.reader(file))
    at = next(row.index("姓名") for row in rows if "姓名" in row)
    read = (read_name(row[at]).value for row in rows if len(row) > at)
    return [name for name in read if name]


def places() -> dict[str, tuple[str, str]]:
    """The names of town and village of each village that the program knows, by its code."""
    areas = {area.code: area for area in packaged_areas()}
    villages = (a for a in areas.values() if a.level in {"village", "community"})
    return {village.code: (areas[village.parent].name, village.name) for village in villages}


def ledger(keyring: Keyring, names: list[str], codes: list[str]) -> list[Record]:
    """A row of a ledger for each name."""
    rows = [
        {
            "no": no,
            "phone_cipher": keyring.encrypt("phone", f"+861979{no:07d}"),
            "phone_hash": b"",
            "name_cipher": keyring.encrypt("name", name),
            "area_code": code,
            "variables_cipher": None,
        }
        for no, (name, code) in enumerate(zip(names, itertools.cycle(codes), strict=False), 1)
    ]
    return cast(list[Record], rows)  # they are read by name alone


def work_of(text: str) -> ClaimedSlice:
    """A slice of a run with this text."""
    return ClaimedSlice(
        run_id=uuid.uuid4(),
        slice_no=1,
        text=text,
        message_class="public_interest",
        max_tps=None,
        hours=HourTerms(DEFAULT_HOURS, ZoneInfo(DEFAULT_TIMEZONE), "public_interest"),
        valid_until=None,
        flow=Flow(1, uuid.uuid4()),
        weight=1,
        rows=deque(),
    )


def timed(composer: Composer, text: str, rows: list[Record]) -> float:
    """Microseconds of processor a text."""
    work = work_of(text)
    start = time.process_time()
    for row in rows:
        composer.compose(work, row)
    return (time.process_time() - start) / len(rows) * 1e6


def main() -> None:
    """Measure, and print a line for each text."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    keyring, areas = Keyring(b"\x01" * 32), places()
    rows = ledger(keyring, roster_names(), sorted(areas))
    for label, text in TEXTS.items():
        warm = Composer(keyring, areas, lambda t: tuple(split(t)), simulated=True)
        timed(warm, text, rows[:500])  # what is loaded and compiled once
        new, known = [], []
        for _ in range(rounds):
            composer = Composer(keyring, areas, lambda t: tuple(split(t)), simulated=True)
            gc.collect()
            gc.disable()
            new.append(timed(composer, text, rows))
            known.append(timed(composer, text, rows))
            gc.enable()
        sys.stdout.write(f"{label}: new {min(new):.1f} µs, known {min(known):.1f} µs\n")


if __name__ == "__main__":
    main()
