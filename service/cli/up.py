"""`tocsin up`: the whole system on this machine."""

import argparse
from dataclasses import fields
from pathlib import Path

from service.clock import parse_instant
from service.local.simulated_channels import CARRIERS_OF
from service.local.up import UpOptions, run_up
from service.words.phrase import listing, phrase


def add_up(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `tocsin up`."""
    parser.add_argument("--json", action="store_true", help="print one line of JSON once ready")
    parser.set_defaults(run=_up)
    parser.add_argument("--data", type=Path, default=Path("tocsin-data"), help="data folder")
    parser.add_argument("--port", type=int, default=8080, help="port of the API; 0: any free one")
    parser.add_argument("--clock", help="simulated time to begin at, e.g. 2027-01-12T09:30+08:00")
    parser.add_argument("--speed", type=float, default=1.0, help="simulated time: times as fast")
    parser.add_argument("--channels", choices=["none", "simulated"], default="simulated")
    parser.add_argument(
        *("--protocols", "--lanes"),  # the second is the earlier name, for one release more
        default="cmpp,sgip,smgp",
        dest="protocols",
        type=_protocols,
        help="of the simulated channels",
    )
    parser.add_argument("--profile", choices=["carrier", "roster", "stale"], default="roster")
    parser.add_argument("--tps", type=int, default=500, help="parts per second; 0: no limit")
    parser.add_argument("--window", type=int, default=64, help="unanswered submits allowed")
    parser.add_argument("--connections", type=int, default=1, help="connections to the carrier")
    parser.add_argument("--channel-processes", type=int, default=1, help="processes sharing them")
    parser.add_argument("--api-processes", type=int, default=1, help="APIs, a port each")
    parser.add_argument("--scheduler-processes", type=int, default=1, help="schedulers")
    parser.add_argument("--work-processes", type=int, default=1, help="of all other jobs")
    parser.add_argument("--max-delay", type=float, help="longest delay of a receipt, seconds")
    parser.add_argument("--response-delay", type=float, default=0.0, help="of each submit's answer")


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
