"""Feeds mutated packets to the decoders and looks for what is raised out of them.

Run: python -m tests.fuzz.fuzz [--seconds N] [--seed N] [PROTOCOL …]

Each input goes to the decoder; every few also go, cut into pieces, through a link with a gateway
behind it, where reports and texts are read too, or through one of the simulated carrier, where
submits are. A decoder may raise Malformed, a link nothing at all. In turn with these, frames whose
border is whole and whose inside is broken go over TCP to live sessions (`live` says what must hold
there). The same seed gives the same inputs. What fails is printed in hex, once for each place in
the code, the shortest input of it; the exit status is 1 then.
"""

import argparse
import asyncio
import logging
import sys
import time
import traceback
from dataclasses import dataclass, field
from random import Random

from service.protocols.frame import Malformed
from tests.fuzz.live import FRAMES, End, Violation, ends
from tests.fuzz.mutate import mutated
from tests.fuzz.targets import PROTOCOLS, Carriers, Gateways, Links, decoders, seeds

BATCH = 256
"""Inputs between two looks at the clock."""

LINKED = 8
"""One input of so many goes through a link too."""

LIVE_BATCHES = 8
"""Batches for live sessions after each one for the decoders."""

HANGING_SECONDS = 1.0
"""No input may take this much processor time."""


@dataclass
class Tally:
    """What came of one protocol's inputs. crashes: by place, the shortest input and its error."""

    tried: int = 0
    refused: int = 0
    linked: int = 0
    closed: int = 0
    crashes: dict[str, tuple[bytes, str]] = field(default_factory=dict)

    def broke(self, end: End, error: Exception) -> None:
        """Note the frames after which something did not hold."""
        if not isinstance(error, Violation):
            self.crash(error, b"".join(end.frames))
            return
        place = f"{type(end).__name__}: {error}"
        self.crashes.setdefault(place, (b"".join(end.frames), "in one of these frames"))

    def crash(self, error: BaseException, data: bytes) -> None:
        """Note an input that should not have failed."""
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{type(error).__name__} at {frame.filename}:{frame.lineno}"
        known = self.crashes.get(place)
        if known is None or len(data) < len(known[0]):
            self.crashes[place] = data, f"{error!r}"


class Fuzz:
    """One protocol under fire."""

    def __init__(self, protocol: str, seed: int) -> None:
        self.tally = Tally()
        self._random = Random(f"{seed}:{protocol}")
        self._seeds = seeds(protocol)
        self.gateways = Gateways(protocol)
        self._links = (
            Links([*self.gateways.makers]),
            Links([*Carriers(protocol, self._seeds).makers]),
        )
        self._decoders = decoders(protocol)
        self._input = b""

    def batch(self) -> None:
        """Try some inputs."""
        started = time.thread_time()
        for _ in range(BATCH):
            self._input = mutated(self._random, self._seeds)
            self._decode(self._input)
            if self.tally.tried % LINKED == 0:
                self._link(self._input)
        if time.thread_time() - started > HANGING_SECONDS:
            self.tally.crash(TimeoutError("one of the inputs up to this one hangs"), self._input)

    def unhandled(self, context: dict[str, object]) -> None:
        """An error that a callback raised."""
        error = context.get("exception")
        if not isinstance(error, BaseException):
            error = RuntimeError(str(context.get("message")))
        self.tally.crash(error, self._input)

    def _decode(self, data: bytes) -> None:
        tally = self.tally
        tally.tried += 1
        decode = self._decoders[tally.tried % len(self._decoders)]
        try:
            decode(data)
        except Malformed:
            tally.refused += 1
        except Exception as error:  # noqa: BLE001  # whatever it is, it is what we look for
            tally.crash(error, data)

    def _link(self, data: bytes) -> None:
        self.tally.linked += 1
        links = self._links[self.tally.linked % 2]
        stream = data + self._random.choice(self._seeds)
        cut = self._random.randint(0, len(stream))
        self._input = stream
        try:
            if not links.feed(self.tally.linked // 2, [stream[:cut], stream[cut:]]):
                self.tally.closed += 1
        except Exception as error:  # noqa: BLE001  # whatever it is, it is what we look for
            self.tally.crash(error, stream)


class Live:
    """The live sessions of one protocol under fire. frames: how many were written."""

    def __init__(self, protocol: str, seed: int, tally: Tally) -> None:
        self.ends = ends(protocol, seeds(protocol), Random(f"live:{seed}:{protocol}"))
        self.frames = 0
        self._tally = tally

    async def batch(self) -> None:
        """Some frames for each."""
        for end in self.ends:
            try:
                await end.batch()
            except Exception as error:  # noqa: BLE001  # whatever it is, it is what we look for
                self._tally.broke(end, error)
            self.frames += FRAMES

    async def close(self) -> None:
        """Close all connections."""
        for end in self.ends:
            await end.close()


async def fuzz(protocol: str, seconds: float, seed: int) -> Tally:
    """Fuzz a protocol for a while and print what came of it."""
    target = Fuzz(protocol, seed)
    tally = target.tally
    live = Live(protocol, seed, tally)
    asyncio.get_running_loop().set_exception_handler(lambda _, context: target.unhandled(context))
    started = time.monotonic()
    while time.monotonic() - started < seconds:
        target.batch()
        for _ in range(LIVE_BATCHES):
            await live.batch()  # and what the links have put off happens meanwhile
    await live.close()
    print(
        f"{protocol}: {tally.tried:,} inputs in {time.monotonic() - started:.0f} s, "
        f"{tally.refused:,} refused as malformed, {tally.linked:,} through a link "
        f"({tally.closed:,} closed it, {target.gateways.items:,} receipts and texts came out), "
        f"{live.frames:,} frames of the right length over TCP "
        f"({sum(end.answered for end in live.ends):,} of {sum(end.asked for end in live.ends):,} "
        f"deliveries and submits answered), {len(tally.crashes)} crashes and violations"
    )
    for place, (data, error) in tally.crashes.items():
        print(f"  {place}\n    {error}\n    {data.hex()}")
    return tally


def main() -> None:
    """Fuzz the protocols that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.fuzz")
    parser.add_argument("protocols", nargs="*", metavar="PROTOCOL", help=", ".join(PROTOCOLS))
    parser.add_argument("--seconds", type=float, default=60.0, help="for each protocol; default 60")
    parser.add_argument("--seed", type=int, default=341825)
    options = parser.parse_args()
    unknown = set(options.protocols) - set(PROTOCOLS)
    if unknown:
        parser.error(f"no such protocol: {', '.join(sorted(unknown))}")
    logging.disable()
    tallies = [
        asyncio.run(fuzz(protocol, options.seconds, options.seed))
        for protocol in options.protocols or PROTOCOLS
    ]
    sys.exit(any(tally.crashes for tally in tallies))


if __name__ == "__main__":
    main()
