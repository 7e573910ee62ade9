"""A channel process that notes the instant of each part it writes, by protocol and its own clock.

Run as `python -m tests.chaos.recording FILE`, with the environment of a worker. All processes of
one machine share that clock, so their notes can be laid side by side.
"""

import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from service.channels.contract.gateway import Submission, SubmitResult
from service.gateways.cmpp import CMPPGateway
from service.gateways.sgip import SGIPGateway
from service.gateways.smgp import SMGPGateway
from workers.__main__ import main

GATEWAYS = {"cmpp": CMPPGateway, "sgip": SGIPGateway, "smgp": SMGPGateway}


def record(path: str) -> None:
    """Write a line for each part into a file."""
    file = Path(path).open("a", buffering=1)  # noqa: SIM115  # open for the process's life
    for protocol, gateway in GATEWAYS.items():
        _record(protocol, gateway, file)


def _record(protocol: str, gateway: Any, file: Any) -> None:
    write = gateway.submit

    def submit(self: Any, batch: Sequence[Submission]) -> "list[asyncio.Future[SubmitResult]]":
        futures: list[asyncio.Future[SubmitResult]] = write(self, batch)
        parts = sum(len(submission.recipients) for submission in batch)
        file.write(f"{protocol} {time.monotonic()}\n" * parts)
        return futures

    gateway.submit = submit


if __name__ == "__main__":
    record(sys.argv[1])
    sys.exit(main(["channel"]))
