"""A carrier with an HTTP interface: the faults of the links, and callbacks until they arrive.

A provider says how requests, answers and callbacks look. Each account has one `CallbackPoster`,
which posts its receipts and replies and posts again what was not answered with 2xx.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import ClassVar, NamedTuple, NoReturn

from aiohttp import ClientError, ClientSession, ClientTimeout, web

from service.simulator.carrier.receipts import CarrierItem
from service.simulator.carrier.smsc import SMSC
from service.simulator.carrier.subscriber import SubmitRefusal, SubmittedPart, Subscriber
from service.simulator.wire.admin import RequestHandler, serving
from service.simulator.wire.server import GARBAGE


class PostedCallback(NamedTuple):
    """A callback as it is posted."""

    url: str
    headers: Mapping[str, str]
    body: bytes


class CallbackPoster:
    """Posts what one account is sent. write: as the provider does; None: nobody wants to know."""

    def __init__(
        self,
        smsc: SMSC,
        subscriber: Subscriber,
        client: ClientSession,
        write: Callable[[Subscriber, CarrierItem], PostedCallback | None],
    ) -> None:
        self._smsc = smsc
        self._subscriber = subscriber
        self._client = client
        self._write = write
        self._tasks: set[asyncio.Task[None]] = set()
        subscriber.receipts.links.append(self)

    @property
    def room(self) -> int:
        """How many more may be posted before one is answered."""
        if self._smsc.faults.half_open:
            return 0
        return self._smsc.config.deliver_window - len(self._tasks)

    def convey(self, item: CarrierItem) -> None:
        """Post one."""
        task = asyncio.create_task(self._post(item))
        self._tasks.add(task)
        task.add_done_callback(self._posted)

    async def settle(self) -> None:
        """Wait until what is being posted now has been answered."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def stop(self) -> None:
        """Post nothing more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _posted(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            self._subscriber.receipts.pump()

    async def _post(self, item: CarrierItem) -> None:
        seconds = self._smsc.config.response_timeout_seconds
        call = self._write(self._subscriber, item)
        self._subscriber.tally.sent(item)
        if call is None or await self._takes(call, seconds):
            self._smsc.acknowledged(self._subscriber, item)
            self._smsc.journal.flush()
        else:
            self._subscriber.receipts.schedule(item, seconds)

    async def _takes(self, call: PostedCallback, seconds: float) -> bool:
        """Post a callback; whether it was answered with success in time."""
        try:
            async with self._client.post(
                call.url,
                data=call.body,
                headers=call.headers,
                allow_redirects=False,
                timeout=ClientTimeout(total=seconds),
            ) as answer:
                return 200 <= answer.status < 300
        except (ClientError, OSError, ValueError):  # ValueError: what the SP gave is no URL
            return False


class Vendor(ABC):
    """The carrier's side of an HTTP interface; to the faults it is one connection of nobody."""

    protocol: ClassVar[str]
    subscriber: Subscriber | None = None

    def __init__(self, smsc: SMSC) -> None:
        self.smsc = smsc
        self._submits = 0
        self._alive = asyncio.Event()
        self._transports: set[asyncio.Transport] = set()
        self._callers: dict[str, CallbackPoster] = {}
        self.faults_changed()
        smsc.sessions.add(self)

    @abstractmethod
    def routes(self) -> list[web.RouteDef]:
        """What the interface serves."""

    @abstractmethod
    def callback(self, subscriber: Subscriber, item: CarrierItem) -> PostedCallback | None:
        """How a receipt or a reply is posted; None if the account does not want to know."""

    @asynccontextmanager
    async def listen(self) -> AsyncIterator[int]:
        """Serve the interface on its configured port while the block runs; gives the port.

        Raises:
            Misconfigured: the address or port cannot be had.
        """
        app = web.Application(middlewares=[self._faulty])
        app.add_routes(self.routes())
        config = self.smsc.config
        async with ClientSession() as client:
            for subscriber in self.subscribers():
                caller = CallbackPoster(self.smsc, subscriber, client, self.callback)
                self._callers[subscriber.name] = caller
            try:
                port = config.port_of(self.protocol) or 0
                async with serving(app, config.host, port) as served:
                    self.faults_changed()
                    yield served
            finally:
                await asyncio.gather(*[caller.stop() for caller in self._callers.values()])
                self.smsc.sessions.discard(self)

    def subscribers(self) -> list[Subscriber]:
        """The accounts as this protocol sees them."""
        return [s for s in self.smsc.subscribers.values() if s.protocol == self.protocol]

    async def submit(
        self,
        request: web.Request,
        subscriber: Subscriber,
        text: SubmittedPart,
        taken: Callable[[bytes], None] = lambda _: None,
    ) -> bytes | SubmitRefusal:
        """Take a submit to one phone, and give its id; does not return where a fault keeps the
        answer back. taken: called with the id once it is accepted, before anything else.
        """
        verdict = self.smsc.submit(subscriber, text)
        if isinstance(verdict, SubmitRefusal):
            await self._delay()
            return verdict
        (message_id,) = verdict
        taken(message_id)
        self.smsc.journal.flush()
        self._submits += 1
        faults = self.smsc.faults
        if self._submits == faults.disconnect_after:
            await _cut(request)
        # Whatever is being posted for an account at this moment came before the answer on purpose.
        await self._callers[subscriber.name].settle()
        if self.smsc.happens(faults.garbage_responses):
            await _cut(request, GARBAGE)
        if self.smsc.happens(faults.swallow_responses):
            subscriber.tally.swallowed += 1
            await _never()
        await self._delay()
        return message_id

    def faults_changed(self) -> None:
        """Stop answering, or go on; count the submits until a cut anew."""
        self._submits = 0
        if self.smsc.faults.half_open:
            self._alive.clear()
            return
        self._alive.set()
        for subscriber in self.subscribers():
            subscriber.receipts.pump()

    def abort(self, reason: str) -> None:  # noqa: ARG002  # HTTP has no place for it
        """Cut every connection that waits for an answer."""
        for transport in list(self._transports):
            transport.abort()

    async def cut(self, reason: str) -> None:
        """Cut every connection that waits for an answer."""
        self.abort(reason)

    async def _delay(self) -> None:
        delay = self.smsc.faults.answer_delay_seconds
        await asyncio.sleep(self.smsc.config.response_delay_seconds if delay is None else delay)

    @web.middleware
    async def _faulty(self, request: web.Request, handler: RequestHandler) -> web.StreamResponse:
        transport = request.transport
        if transport is None:
            raise web.HTTPBadRequest(reason="the client has gone")
        self._transports.add(transport)
        try:
            await self._alive.wait()
            return await handler(request)
        finally:
            self._transports.discard(transport)


async def _cut(request: web.Request, octets: bytes = b"") -> NoReturn:
    """Write these octets and end the connection; the handler ends with it."""
    if request.transport is not None:
        if octets:
            request.transport.write(octets)
            request.transport.close()
        else:
            request.transport.abort()
    await _never()


async def _never() -> NoReturn:
    """Wait until the client has gone: then the handler is cancelled."""
    while True:
        await asyncio.Event().wait()
