"""`tocsin demo`: one real broadcast."""

import argparse
from pathlib import Path

from service.local.demo import run_demo
from service.words.phrase import phrase


def add_demo(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `tocsin demo`."""
    parser.add_argument("--data", type=Path, help=phrase("data folder; default: a temporary one"))
    parser.add_argument("--file", type=Path, help=phrase("a contact file; default: the county's"))
    parser.add_argument("--tps", type=int, default=500, help=phrase("parts per second"))
    parser.set_defaults(run=lambda o: run_demo(data=o.data, file=o.file, tps=o.tps))
