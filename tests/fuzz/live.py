"""Frames of the right length with a broken inside, over TCP, against sessions as they run.

Three ends are under fire: our gateway, which gets them from a carrier; SGIP's listener; and the
simulated carrier, which gets them from a gateway that is logged in. What must hold:

- no link is closed for what is inside a frame whose length is right;
- each delivery is answered, and what was answered is a receipt, a text or octets that are kept;
- each submit is answered by the simulated carrier, and each of our own ends, whatever its answer.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from random import Random
from typing import Any

from service.channels.contract import registry
from service.channels.contract.gateway import COMMAND, Delivery, Submission
from service.clock import Clock
from service.protocols.cmpp import pdu as cmpp
from service.protocols.cmpp.version import BY_NAME
from service.protocols.session import Session
from service.protocols.sgip import pdu as sgip
from service.protocols.sgip.session import LOGIN_TO_SP
from service.protocols.smgp import pdu as smgp
from service.protocols.smpp import pdu as smpp
from service.simulator.run import running
from tests.fuzz.mutate import broken_inside
from tests.fuzz.targets import SETTINGS, carrier_config
from tests.harness.waiting import turns

FRAMES = 16
"""Frames written at once."""

BATCHES = 100
"""Batches over one connection, then another is opened."""

PATIENCE_SECONDS = 20.0
"""How long an answer may take; nothing that works comes near it."""

RESPONSE = 0x8000_0000


@dataclass(frozen=True)
class Wire:
    """A protocol as the other side writes it.

    ends: its logouts, which close a link as they should. accept: the answer to a login.
    """

    header: int
    sequence: slice
    deliveries: frozenset[int]
    submit: int
    ends: frozenset[int]
    accept: Callable[[int, dict[str, Any]], bytes]


def _cmpp_accept(sequence: int, settings: dict[str, Any]) -> bytes:
    version = BY_NAME[settings["version"]]
    return cmpp.encode(sequence, cmpp.ConnectResp(0, bytes(16), version.octet), version)


_RECEIVED = (sgip.Deliver.command, sgip.Report.command)

WIRES = {
    "cmpp": Wire(
        header=12,
        sequence=slice(8, 12),
        deliveries=frozenset({cmpp.Deliver.command}),
        submit=cmpp.Submit.command,
        ends=frozenset({cmpp.Terminate.command, cmpp.TerminateResp.command}),
        accept=_cmpp_accept,
    ),
    "sgip": Wire(
        header=20,
        sequence=slice(8, 20),
        deliveries=frozenset(_RECEIVED),
        submit=sgip.Submit.command,
        ends=frozenset({sgip.Unbind.command, sgip.UnbindResp.command}),
        accept=lambda sequence, _: sgip.encode(sequence, sgip.BindResp()),
    ),
    "smgp": Wire(
        header=12,
        sequence=slice(8, 12),
        deliveries=frozenset({smgp.Deliver.command}),
        submit=smgp.Submit.command,
        ends=frozenset({smgp.Exit.command, smgp.ExitResp.command}),
        accept=lambda sequence, _: smgp.encode(sequence, smgp.LoginResp(0, bytes(16), 0x30)),
    ),
    "smpp": Wire(
        header=16,
        sequence=slice(12, 16),
        deliveries=frozenset({smpp.DeliverSM.command, smpp.DataSM.command}),
        submit=smpp.SubmitSM.command,
        ends=frozenset({smpp.Unbind.command, smpp.UnbindResp.command}),
        accept=lambda sequence, _: smpp.encode(sequence, smpp.BindTransceiverResp("SMSC")),
    ),
}


class Violation(Exception):
    """What must hold did not."""


def endure(link: Session) -> None:
    """Let an end take as many answers to nothing as come: they are among what is written to it, and
    their limit is another test's.
    """
    link._asked.too_many_strange = lambda now: False  # type: ignore[method-assign]  # of this link alone  # noqa: ARG005


def command_of(frame: bytes) -> int:
    """The command in a frame's header."""
    return int.from_bytes(frame[COMMAND], "big")


class End(ABC):
    """One end under fire. frames: those of the last batch, for a report of what went wrong."""

    def __init__(self, protocol: str, seeds: Sequence[bytes], random: Random) -> None:
        self.protocol = protocol
        self.wire = WIRES[protocol]
        self.frames: list[bytes] = []
        self.asked = self.answered = self.items = 0
        self._seeds = [seed for seed in seeds if command_of(seed) not in self.wire.ends]
        self._random = random
        self._next = 0x4000_0000
        self._stack = AsyncExitStack()
        self._batches = 0

    @property
    @abstractmethod
    def must_answer(self) -> frozenset[int]:
        """The commands that get an answer, whatever is inside."""

    @abstractmethod
    async def open(self, stack: AsyncExitStack) -> None:
        """Open a connection."""

    @abstractmethod
    async def fire(self, expected: set[int]) -> None:
        """Write the frames, and wait until all that is expected has come.

        Raises:
            Violation: something else came of it.
        """

    async def batch(self) -> None:
        """Write some frames and see what comes of them; Violation if it is wrong."""
        if self._batches % BATCHES == 0:
            await self.close()
            await self.open(self._stack)
        self._batches += 1
        self.frames = [self._frame() for _ in range(FRAMES)]
        at = self.wire.sequence
        expected = {
            int.from_bytes(frame[at], "big")
            for frame in self.frames
            if command_of(frame) in self.must_answer
        }
        self.asked += len(expected)
        try:
            await asyncio.wait_for(self.fire(set(expected)), PATIENCE_SECONDS)
        except TimeoutError as error:
            self._batches = 0
            raise Violation("an answer never came") from error
        except BaseException:
            self._batches = 0
            raise
        self.answered += len(expected)

    async def close(self) -> None:
        """Close the connection, if there is one."""
        await self._stack.aclose()
        self._stack = AsyncExitStack()

    def _frame(self) -> bytes:
        frame = broken_inside(self._random, self._seeds, self.wire.header)
        return self._numbered(frame)

    def _numbered(self, frame: bytes) -> bytes:
        self._next += 1
        return self.with_sequence(frame, self._next)

    def with_sequence(self, frame: bytes, sequence: int) -> bytes:
        """The frame under another sequence number."""
        at = self.wire.sequence
        return frame[: at.start] + sequence.to_bytes(at.stop - at.start, "big") + frame[at.stop :]

    def settings(self) -> dict[str, Any]:
        """One of the protocol's accounts."""
        return self._random.choice(SETTINGS[self.protocol])

    def gateway(self, settings: dict[str, Any]) -> Any:
        """An unopened gateway."""
        config = registry.load()[self.protocol].config_model.model_validate(settings)
        return registry.factory(self.protocol)(config, self.deliver, Clock())

    def deliver(self, item: Delivery) -> "asyncio.Future[None]":
        """Store what came."""
        assert item is not None
        self.items += 1
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        stored.set_result(None)
        return stored


class Received(End):
    """The other side of a connection on which the carrier hands on what it has."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    lost: asyncio.Event

    @property
    def must_answer(self) -> frozenset[int]:
        """Every delivery."""
        return self.wire.deliveries

    async def fire(self, expected: set[int]) -> None:
        """Write the frames in pieces; each delivery is kept once, and answered."""
        before, deliveries = self.items, len(expected)
        stream = b"".join(self.frames)
        cut = self._random.randint(0, len(stream))
        self.writer.write(stream[:cut])
        await turns()
        self.writer.write(stream[cut:])
        await self._hear(expected)
        if self.lost.is_set():
            raise Violation("the link was closed")
        if self.items - before != deliveries:
            raise Violation(f"{deliveries} deliveries were answered, {self.items - before} kept")

    async def _hear(self, expected: set[int]) -> None:
        while expected:
            frame = await self.read()
            if command_of(frame) & RESPONSE:
                expected.discard(int.from_bytes(frame[self.wire.sequence], "big"))
            else:
                self.requested(frame)

    def requested(self, frame: bytes) -> None:
        """Take a request of ours."""

    async def read(self) -> bytes:
        """The next frame that our end has written."""
        try:
            head = await self.reader.readexactly(4)
            return head + await self.reader.readexactly(int.from_bytes(head, "big") - 4)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise Violation("the link was closed") from error


class GatewayEnd(Received):
    """Our gateway, logged in at a carrier that writes such frames, also as answers to submits."""

    async def open(self, stack: AsyncExitStack) -> None:
        """Log in, in one of the protocol's versions."""
        arrived: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
        server = await asyncio.start_server(lambda *ends: arrived.put_nowait(ends), "127.0.0.1", 0)
        stack.callback(server.close)
        settings = self.settings() | {"port": server.sockets[0].getsockname()[1]}
        self._gateway = self.gateway(settings)
        self.lost = self._gateway.link.lost
        endure(self._gateway.link)
        opening = asyncio.create_task(self._gateway.open())
        self.reader, self.writer = await arrived.get()
        login = await self.read()
        sequence = int.from_bytes(login[self.wire.sequence], "big")
        self.writer.write(self.wire.accept(sequence, settings))
        await opening
        stack.push_async_callback(self._hang_up)
        answer = RESPONSE | self.wire.submit
        self._answers = [seed for seed in self._seeds if command_of(seed) == answer]

    async def _hang_up(self) -> None:
        self.writer.transport.abort()
        await self.lost.wait()

    async def fire(self, expected: set[int]) -> None:
        """Submit a text meanwhile; it ends, whatever its answer looks like."""
        self._answered = False
        (part,) = self._gateway.split("警钟")
        (result,) = self._gateway.submit([Submission(("+8619790001234",), part, 7)])
        await super().fire(expected)
        while not self._answered:
            self.requested(await self.read())
        await result

    def requested(self, frame: bytes) -> None:
        """Answer a submit with a broken answer."""
        if command_of(frame) == self.wire.submit:
            answer = broken_inside(self._random, self._answers, self.wire.header)
            sequence = int.from_bytes(frame[self.wire.sequence], "big")
            self.writer.write(self.with_sequence(answer, sequence))
            self._answered = True


class ListenerEnd(Received):
    """SGIP's listener, to which the carrier has logged in."""

    async def open(self, stack: AsyncExitStack) -> None:
        """Listen, and log in there."""
        kind = registry.load()[self.protocol]
        settings = self.settings() | {"listen_host": "127.0.0.1", "listen_port": 0}
        config = kind.config_model.model_validate(settings)
        manager: Any = kind.listener(config, self.deliver, Clock())
        listener = await stack.enter_async_context(manager)
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", listener.port)
        stack.callback(self.writer.transport.abort)
        bind = sgip.Bind(LOGIN_TO_SP, settings["login_name"], settings["login_password"])
        self.writer.write(sgip.encode(1, bind))
        await self.read()
        (link,) = listener.links
        endure(link)
        self.lost = link.lost


class CarrierEnd(End):
    """The simulated carrier, to which a gateway is logged in that writes such frames."""

    @property
    def must_answer(self) -> frozenset[int]:
        """Every submit."""
        return frozenset({self.wire.submit})

    async def open(self, stack: AsyncExitStack) -> None:
        """Log in."""
        carrier = await stack.enter_async_context(running(carrier_config(self.protocol)))
        gateway = self.gateway(self.settings() | {"port": carrier.ports[self.protocol]})
        await gateway.open()
        self._link: Session = gateway.link
        for link in (self._link, *carrier.smsc.sessions):
            endure(link)
        stack.callback(self._link.abort, "another connection is next")
        self._seen: set[int] = set()
        self._news = asyncio.Event()
        self._take = self._link.received
        self._link.received = self._spy

    def _spy(self, frame: bytes) -> None:
        if command_of(frame) & RESPONSE:
            self._seen.add(int.from_bytes(frame[self.wire.sequence], "big"))
            self._news.set()
        self._take(frame)

    async def fire(self, expected: set[int]) -> None:
        """Write the frames at once; each submit is answered."""
        for frame in self.frames:
            self._link.send(frame)
        while not expected <= self._seen:
            if self._link.lost.is_set():
                raise Violation("the link was closed")
            self._news.clear()
            waiting = [
                asyncio.ensure_future(self._news.wait()),
                asyncio.ensure_future(self._link.lost.wait()),
            ]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for each in waiting:
                each.cancel()
        self._seen -= expected
        if not self._link.is_open:
            raise Violation("the link was closed")


def ends(protocol: str, seeds: Sequence[bytes], random: Random) -> list[End]:
    """All that is under fire of a protocol."""
    found: list[End] = [GatewayEnd(protocol, seeds, random), CarrierEnd(protocol, seeds, random)]
    if protocol == "sgip":
        found.append(ListenerEnd(protocol, seeds, random))
    return found
