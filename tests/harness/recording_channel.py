"""A channel process that notes the instant of each part it writes, by the writer's own clock.

Run as `python -m tests.harness.recording_channel FILE`, with the environment of a worker.
"""

import asyncio
import sys
import time
import unittest.mock
from collections.abc import Sequence

from service.channels.contract.gateway import Submission, SubmitResult
from service.gateways.cmpp import CMPPGateway
from workers.__main__ import main


def record(path: str) -> None:
    write = CMPPGateway.submit
    file = open(path, "a", buffering=1)  # noqa: PTH123, SIM115  # open for the process's life

    def submit(
        self: CMPPGateway, batch: Sequence[Submission]
    ) -> "list[asyncio.Future[SubmitResult]]":
        futures = write(self, batch)
        file.write(f"{time.monotonic()}\n" * len(batch))
        return futures

    unittest.mock.patch.object(CMPPGateway, "submit", submit).start()


if __name__ == "__main__":
    record(sys.argv[1])
    sys.exit(main(["channel"]))
