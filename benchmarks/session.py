"""The session alone against a null server, beside a bare asyncio.Protocol with the same frames.

Run: python benchmarks/session.py [submits]. The server is a process of its own that answers every
SUBMIT with success and does nothing else. The last columns are what the client's processor did.
"""

import asyncio
import multiprocessing
import struct
import sys
import time
from multiprocessing.connection import Connection

import uvloop
from pydantic import SecretStr

from service.channels.gateway import Inbound, Receipt, Submission, SubmitResult
from service.channels.outcome import Outcome
from service.clock import Clock
from service.gateways.cmpp import CMPPConfig, CMPPGateway

SUBMITS = 200_000
WINDOW = 512
HEADER = struct.Struct(">III")
CONNECT, SUBMIT, RESPONSE = 0x1, 0x4, 0x8000_0000
CONNECT_RESP = HEADER.pack(33, RESPONSE | CONNECT, 1) + bytes(20) + b"\x30"
SUBMIT_RESP = struct.Struct(">IIIQI")
TEXT = "【旌德公安】凡是要求转账到安全账户的都是诈骗，请立即挂断并拨打96110核实。"


class NullServer(asyncio.Protocol):
    """Answers logins and submits; knows nothing."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = transport
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        """Answer every whole frame."""
        data = self._rest + data
        at, answers = 0, []
        while len(data) - at >= HEADER.size:
            length, command, sequence = HEADER.unpack_from(data, at)
            if len(data) - at < length:
                break
            at += length
            if command == SUBMIT:
                answers.append(SUBMIT_RESP.pack(24, RESPONSE | SUBMIT, sequence, sequence, 0))
            elif command == CONNECT:
                answers.append(CONNECT_RESP)
        self._rest = data[at:]
        self._transport.write(b"".join(answers))  # type: ignore[attr-defined]


def null_server(pipe: Connection) -> None:
    """Serve until killed; tell the port."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(NullServer, "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await asyncio.Event().wait()

    uvloop.run(run())


class Bare(asyncio.Protocol):
    """Writes ready-made frames in a window and counts the octets of the answers."""

    def __init__(self, frame: bytes, submits: int) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._frame, self._submits = frame, submits
        self._sent = self._octets = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Fill the window."""
        self._transport = transport
        self._write(WINDOW)

    def data_received(self, data: bytes) -> None:
        """Write as many again as were answered."""
        before = self._octets // 24
        self._octets += len(data)
        answered = self._octets // 24
        if answered >= self._submits:
            self.done.set_result(None)
        else:
            self._write(answered - before)

    def _write(self, count: int) -> None:
        count = min(count, self._submits - self._sent)
        self._sent += count
        self._transport.write(self._frame * count)  # type: ignore[attr-defined]


async def bare(port: int, submits: int) -> None:
    """Every submit through the bare protocol."""
    frame = await one_frame()
    loop = asyncio.get_running_loop()
    _, protocol = await loop.create_connection(lambda: Bare(frame, submits), "127.0.0.1", port)
    await protocol.done


def gateway_to(port: int) -> CMPPGateway:
    """An unopened gateway."""

    def deliver(_: Receipt | Inbound) -> "asyncio.Future[None]":
        raise SystemExit("a null server delivers nothing")

    config = CMPPConfig(
        host="127.0.0.1",
        port=port,
        account="901234",
        secret=SecretStr("benchmark"),
        access_number="1069",
    )
    return CMPPGateway(config, deliver, Clock())


async def one_frame() -> bytes:
    """A SUBMIT as the gateway writes it."""
    gateway = gateway_to(1)
    (part,) = gateway.split(TEXT)
    request = gateway.request(Submission(("+8619790000000",), part, 0))
    if isinstance(request, SubmitResult):
        raise SystemExit("the submission does not fit")
    return request.frame


async def through_the_gateway(port: int, submits: int) -> None:
    """Every submit through the gateway: encoded, awaited, its answer read."""
    gateway = gateway_to(port)
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


def main() -> None:
    """Measure both and print a table."""
    submits = int(sys.argv[1]) if len(sys.argv) > 1 else SUBMITS
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=null_server, args=(theirs,))
    process.start()
    try:
        port = ours.recv()
        tell(f"{'':>10} {'submits/s':>12} {'µs of processor each':>22}")
        for name, run in (("bare", bare), ("session", through_the_gateway)):
            started, used = time.perf_counter(), time.process_time()
            uvloop.run(run(port, submits))
            seconds, cpu = time.perf_counter() - started, time.process_time() - used
            tell(f"{name:>10} {submits / seconds:>12,.0f} {cpu / submits * 1e6:>22.1f}")
    finally:
        process.kill()
        process.join()


if __name__ == "__main__":
    main()
