"""`tocsin up`: the whole system on this machine."""

import argparse
from dataclasses import fields
from pathlib import Path

from service.clock import parse_instant
from service.local.simulated_channels import CARRIERS_OF
from service.local.up import UpOptions, run_up
from service.words.phrase import listing, phrase

_COUNTS = (
    ("--port", 8080, phrase("port of the API; 0: any free one")),
    ("--tps", 500, phrase("parts per second; 0: no limit")),
    ("--window", 64, phrase("unanswered submits allowed")),
    ("--connections", 1, phrase("connections to the carrier")),
    ("--channel-processes", 1, phrase("processes that share these connections")),
    ("--api-processes", 1, phrase("APIs, a port each")),
    ("--scheduler-processes", 1, phrase("processes of the scheduler")),
    ("--work-processes", 1, phrase("processes of all other jobs")),
)
_MEASURES = (
    ("--speed", 1.0, phrase("simulated time: times as fast")),
    ("--max-delay", None, phrase("longest delay of a receipt, seconds")),
    ("--response-delay", 0.0, phrase("delay of each submit's answer, seconds")),
)


def add_up(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `tocsin up`."""
    add = parser.add_argument
    add("--json", action="store_true", help=phrase("print one line of JSON once ready"))
    parser.set_defaults(run=_up)
    add("--data", type=Path, default=Path("tocsin-data"), help=phrase("data folder"))
    add("--clock", help=phrase("simulated time to begin at, e.g. 2027-01-12T09:30+08:00"))
    add(
        "--channels",
        choices=["none", "simulated"],
        default="simulated",
        help=phrase("none, or channels to the simulator"),
    )
    add(
        *("--protocols", "--lanes"),  # the second is the earlier name, for one release more
        default="cmpp,sgip,smgp",
        dest="protocols",
        type=_protocols,
        help=phrase("protocols of the simulated channels"),
    )
    add(
        "--groups",
        action="store_true",
        help=phrase("two simulated work groups, WeCom and DingTalk, whose robots are set up"),
    )
    add(
        "--profile",
        choices=["carrier", "roster", "stale"],
        default="roster",
        help=phrase("how good the numbers are: carrier well kept, stale long out of date"),
    )
    for flag, count, about in _COUNTS:
        add(flag, type=int, default=count, help=about)
    for flag, measure, about in _MEASURES:
        add(flag, type=float, default=measure, help=about)


def _protocols(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if unknown := sorted({*names} - {*CARRIERS_OF}):
        raise argparse.ArgumentTypeError(
            phrase(
                "no simulated channel speaks {unknown}; they speak {known}",
                unknown=listing(unknown),
                known=listing(CARRIERS_OF),
            )
        )
    return names


def _up(options: argparse.Namespace) -> None:
    clock = parse_instant(options.clock) if options.clock else None
    names = {field.name for field in fields(UpOptions)} - {"clock_start", "tps"}
    same = {name: getattr(options, name) for name in names}
    up = UpOptions(clock_start=clock, tps=options.tps or None, **same)
    run_up(up, as_json=options.json)
