"""The session alone against a null server, beside a bare asyncio.Protocol with the same frames.

Run: python -m benchmarks.session [submits]. The server is a process of its own that answers every
SUBMIT with success and does nothing else. The last columns are what the client's processor did.
"""

import argparse
import asyncio
import multiprocessing
import sys
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, cast

import uvloop

from service.channels.contract.gateway import Delivery, Submission, SubmitResult
from service.channels.contract.outcome import Outcome
from service.channels.contract.registry import factory, load
from service.clock import Clock
from service.protocols.stream import StreamGateway

SUBMITS = 200_000
WINDOW = 512
TEXT = "【旌德公安】凡是要求转账到安全账户的都是诈骗，请立即挂断并拨打96110核实。"
RESPONSE = 0x8000_0000


@dataclass(frozen=True)
class Wire:
    """What a null server must know of a protocol.

    header: the octets of a header; sequence: how many of them are the sequence number, after the
    command, or after a status in SMPP. answers: what follows the header, by request.
    """

    kind: str
    header: int
    sequence: int
    answers: dict[int, bytes]
    settings: dict[str, Any]


ACCOUNT = {
    "account": "901234",
    "secret": "benchmark",
    "access_number": "1069",
    "verify_gateway": False,
    "unverified_because": "a null server makes no digest",
}
WIRES = (
    Wire("cmpp", 12, 4, {1: bytes(20) + b"\x30", 2: b"", 4: bytes(8) + bytes(4)}, ACCOUNT),
    Wire(
        "sgip",
        20,
        12,
        {1: bytes(9), 2: b"", 3: bytes(9)},
        {
            "login_name": "county",
            "login_password": "benchmark",
            "node_number": 3055112345,
            "corp_id": "12345",
            "access_number": "10655",
        },
    ),
    Wire("smgp", 12, 4, {1: bytes(20) + b"\x30", 6: b"", 2: bytes(10) + bytes(4)}, ACCOUNT),
    Wire(
        "smpp",
        16,
        4,
        {9: b"null\0", 6: b"", 4: b"1\0"},
        {"system_id": "county", "password": "bench", "sender": "1069"},
    ),
)


class NullServer(asyncio.Protocol):
    """Answers logins, submits and logouts with success; knows nothing."""

    def __init__(self, wire: Wire) -> None:
        self._header, self._sequence = wire.header, wire.sequence
        self._answers = {
            command.to_bytes(4, "big"): (
                (wire.header + len(body)).to_bytes(4, "big")
                + (RESPONSE | command).to_bytes(4, "big")
                + bytes(wire.header - 8 - wire.sequence),
                body,
            )
            for command, body in wire.answers.items()
        }

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.Transport, transport)
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        """Answer every whole frame."""
        data = self._rest + data
        at, out = 0, []
        while len(data) - at >= self._header:
            length = int.from_bytes(data[at : at + 4], "big")
            if len(data) - at < length:
                break
            head, body = self._answers[data[at + 4 : at + 8]]
            end = at + self._header
            out.append(head + data[end - self._sequence : end] + body)
            at += length
        self._rest = data[at:]
        self._transport.write(b"".join(out))


def null_server(pipe: Connection, wire: Wire) -> None:
    """Serve until killed; tell the port."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: NullServer(wire), "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await asyncio.Event().wait()

    uvloop.run(run())


class Bare(asyncio.Protocol):
    """Writes ready-made frames in a window and counts the octets of the answers."""

    def __init__(self, frame: bytes, answer_octets: int, submits: int) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._frame, self._submits = frame, submits
        self._answer_octets = answer_octets
        self._sent = self._octets = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Fill the window."""
        self._transport = cast(asyncio.Transport, transport)
        self._write(WINDOW)

    def data_received(self, data: bytes) -> None:
        """Write as many again as were answered."""
        before = self._octets // self._answer_octets
        self._octets += len(data)
        answered = self._octets // self._answer_octets
        if answered >= self._submits:
            self.done.set_result(None)
        else:
            self._write(answered - before)

    def _write(self, count: int) -> None:
        count = min(count, self._submits - self._sent)
        self._sent += count
        self._transport.write(self._frame * count)


async def bare(wire: Wire, port: int, submits: int) -> None:
    """Every submit through the bare protocol."""
    gateway = gateway_to(wire, 1)
    (part,) = gateway.split(TEXT)
    request = gateway.request(Submission(("+8619790000000",), part, 0))
    if isinstance(request, SubmitResult):
        raise SystemExit("the submission does not fit")
    octets = wire.header + max(len(body) for body in list(wire.answers.values())[2:])
    loop = asyncio.get_running_loop()
    _, protocol = await loop.create_connection(
        lambda: Bare(request.frame, octets, submits), "127.0.0.1", port
    )
    await protocol.done


def gateway_to(wire: Wire, port: int) -> StreamGateway[Any]:
    """An unopened gateway."""

    def deliver(_: Delivery) -> "asyncio.Future[None]":
        raise SystemExit("a null server delivers nothing")

    gateway = load()[wire.kind]
    config = gateway.config_model.model_validate(
        {"host": "127.0.0.1", "port": port, **wire.settings}
    )
    made = factory(wire.kind)(config, deliver, Clock())
    assert isinstance(made, StreamGateway)
    return made


async def through_the_gateway(wire: Wire, port: int, submits: int) -> None:
    """Every submit through the gateway: encoded, awaited, its answer read."""
    gateway = gateway_to(wire, port)
    await gateway.open()
    (part,) = gateway.split(TEXT)
    finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    sent = answered = 0
    batch: list[Submission] = []

    def submit(count: int) -> None:
        nonlocal sent
        batch.clear()
        numbers = range(sent, min(sent + count, submits))
        batch.extend(Submission((f"+861979{number:07d}",), part, 0) for number in numbers)
        sent += len(batch)
        for future in gateway.submit(batch):
            future.add_done_callback(on_answer)

    room = 0
    refill_due = False

    def refill() -> None:
        nonlocal room, refill_due
        refill_due = False
        free, room = room, 0
        submit(free)

    def on_answer(future: "asyncio.Future[SubmitResult]") -> None:
        nonlocal answered, room, refill_due
        answered += 1
        room += 1
        if future.result().outcome is not Outcome.ACCEPTED:
            finished.set_exception(SystemExit(f"not accepted: {future.result()}"))
        elif answered == submits:
            finished.set_result(None)
        elif not refill_due:
            refill_due = True
            asyncio.get_running_loop().call_soon(refill)

    submit(WINDOW)
    await finished
    await gateway.close(drain_seconds=1)


def tell(line: str) -> None:
    """Print a line of the table."""
    sys.stdout.write(f"{line}\n")


def measure(wire: Wire, submits: int) -> dict[str, tuple[float, float]]:
    """Submits a second and microseconds of the client's processor for each: bare, and through
    the gateway.
    """
    found = {}
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=null_server, args=(theirs, wire))
    process.start()
    try:
        port = ours.recv()
        for name, run in (("bare", bare), ("session", through_the_gateway)):
            started, used = time.perf_counter(), time.process_time()
            uvloop.run(run(wire, port, submits))
            seconds, cpu = time.perf_counter() - started, time.process_time() - used
            found[name] = submits / seconds, cpu / submits * 1e6
    finally:
        process.kill()
        process.join()
    return found


def main() -> None:
    """Measure each protocol, bare and through its gateway, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("submits", type=int, nargs="?", default=SUBMITS)
    submits = parser.parse_args().submits
    tell(f"{'':>6} {'':>8} {'submits/s':>12} {'µs of processor each':>22}")
    for wire in WIRES:
        for name, (rate, each) in measure(wire, submits).items():
            tell(f"{wire.kind:>6} {name:>8} {rate:>12,.0f} {each:>22.1f}")


if __name__ == "__main__":
    main()
