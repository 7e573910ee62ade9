"""A channel process: holds connections of the enabled channels and hands off over them.

It follows the channels table, shares a channel's connections with its peers by lease, keeps a
login limit by never holding more than the channel has, and reconnects by itself. None of this
lives in the arq worker, which is rebuilt whenever Redis hiccups.
"""

import asyncio
import logging
import random
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field

from service.campaigns import restored
from service.campaigns.county_store import load_county
from service.channels import registry
from service.channels.codes import Codes
from service.channels.codes_store import load_codes
from service.channels.gateway import Deliver, Gateway, GatewayError
from service.channels.model import Channel
from service.channels.store import readable_channels
from service.dispatch import health_store, lease_store, store
from service.dispatch.health import LaneBook
from service.dispatch.inquire import inquire_forever
from service.dispatch.lease import POOL_SIZE, HeldLease
from service.dispatch.pace import Pace
from service.dispatch.record import Handoff, Recheck
from service.dispatch.submit import Sender
from service.dispatch.write import PASSING
from service.logs import log_context
from service.queue import Job
from service.runtime import Runtime
from service.storage.postgres import UNREACHABLE, Pool, open_pool, transaction

log = logging.getLogger(__name__)

FOLLOW_SECONDS = 2.0
RETRY_FIRST, RETRY_MOST = 0.5, 30.0
REFUSED_SECONDS = 60.0
STEADY_SECONDS = 10.0


@dataclass
class Bells:
    """One event a channel, set by the `drain_channel` job: there is something to hand off."""

    events: dict[int, asyncio.Event] = field(default_factory=lambda: defaultdict(asyncio.Event))

    def ring(self, channel_id: int) -> None:
        """Wake the connections of a channel."""
        self.events[channel_id].set()


class Link:
    """One slot of one channel in this process: wait for the lease, connect, hand off, reconnect."""

    def __init__(self, server: "ChannelServer", channel: Channel, slot: int) -> None:
        self.channel = channel
        self.slot = slot
        self.stop = asyncio.Event()
        self._server = server
        self._handoff = server.handoff

    async def run(self) -> None:
        """Serve this slot until `stop` is set."""
        with log_context(channel=self.channel.name, slot=str(self.slot)):
            while not self.stop.is_set():
                try:
                    with self._server.place() as free:
                        if free and (lease := await self._claim()):
                            await self._hold(HeldLease(lease))
                except PASSING as error:
                    log.warning("connection waits for the database", extra={"why": str(error)})
                await self._pause(FOLLOW_SECONDS)

    async def _claim(self) -> lease_store.Lease | None:
        """The lease, if it is free; first a look whether this is the database it was."""
        await self._server.check_database()
        now = self._handoff.clock.now()
        async with transaction(self._handoff.pool) as conn:
            return await lease_store.claim_connection(
                conn, self.channel.id, self.slot, self._server.owner, now
            )

    async def _hold(self, held: HeldLease) -> None:
        keeper = asyncio.create_task(held.keep(self._server.lease_pool))
        try:
            await self._connect_forever(held)
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
            async with transaction(self._handoff.pool) as conn:
                await lease_store.release_connection(conn, held.lease, self._handoff.clock.now())

    async def _connect_forever(self, held: HeldLease) -> None:
        delay = RETRY_FIRST
        while not (self.stop.is_set() or held.fenced.is_set()):
            gateway = self._server.open_gateway(self.channel)
            try:
                await gateway.open()
            except GatewayError as error:
                log.warning("not connected", extra={"why": error.message, "code": error.code})
                await self._note(held, "down", error.message)
                delay = min(RETRY_MOST, delay * 2) if error.retryable else REFUSED_SECONDS
                await self._pause(delay * random.uniform(0.7, 1.0))  # noqa: S311  # jitter
                continue
            since = asyncio.get_running_loop().time()
            await self._note(held, "up", "")
            await self._send(held, gateway)
            if asyncio.get_running_loop().time() - since > STEADY_SECONDS:
                delay = RETRY_FIRST
            if not self.stop.is_set():
                log.warning("connection lost")
                await self._note(held, "down", "the connection was lost")
                await self._pause(delay * random.uniform(0.7, 1.0))  # noqa: S311  # jitter

    async def _send(self, held: HeldLease, gateway: Gateway) -> None:
        """Hand off until the link ends; meanwhile ask about what is in doubt, where one can."""
        deliver = self._server.deliver_for(self.channel.id)
        asking = asyncio.create_task(inquire_forever(self._handoff, self.channel, gateway, deliver))
        bell = self._server.bells.events[self.channel.id]
        try:
            await Sender(self._handoff, self.channel, held, gateway).run(self.stop, bell)
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)

    async def _note(self, held: HeldLease, state: str, why: str) -> None:
        await held.note(self._handoff.pool, state, why, self._handoff.clock.now())

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self.stop.wait(), seconds)
        except TimeoutError:
            return


class ChannelServer:
    """All links of this process, kept in step with the channels table."""

    def __init__(
        self,
        runtime: Runtime,
        deliver: Callable[[int], Deliver],
        recheck: Recheck,
        *,
        most: int = 0,
    ) -> None:
        """`deliver` gives each channel's way into the inbox; `most` limits the connections this
        process holds at once (0: no limit), so that peers get their share.
        """
        self.owner = uuid.uuid4()
        self.bells = Bells()
        self._places = 0
        self._most = most
        self._runtime = runtime
        self.book = LaneBook()
        self.deliver_for = self.book.counting(deliver)
        self._areas: dict[str, tuple[str, str]] = {}
        self._codes: dict[str, Codes] = {}
        self.handoff = Handoff(
            runtime.pool,
            runtime.clock,
            runtime.keyring,
            Pace(runtime.redis),
            self._areas,
            recheck,
            self._codes,
            self._wake,
            self.book,
        )
        self._links: dict[tuple[int, int], tuple[Link, asyncio.Task[None]]] = {}
        self._listening: dict[int, tuple[Channel, AsyncExitStack]] = {}
        self.lease_pool: Pool

    @contextmanager
    def place(self) -> Iterator[bool]:
        """A place for one more connection in this process, if there is one."""
        if self._most and self._places >= self._most:
            yield False
            return
        self._places += 1
        try:
            yield True
        finally:
            self._places -= 1

    async def check_database(self) -> None:
        """Hold everything if the database was restored, before anything leaves out of it."""
        await restored.check(self._runtime)

    def open_gateway(self, channel: Channel) -> Gateway:
        """A fresh, unconnected gateway of a channel."""
        make = registry.factory(channel.kind)
        return make(channel.config, self.deliver_for(channel.id), self._runtime.clock)

    async def run(self, stop: asyncio.Event) -> None:
        """Follow the channels table until `stop`, then drain and release everything."""
        async with open_pool(self._runtime.settings.database_url, size=POOL_SIZE) as pool:
            self.lease_pool = pool
            await self._serve(stop)

    async def _serve(self, stop: asyncio.Event) -> None:
        try:
            while not stop.is_set():
                try:
                    await self._follow()
                    await self._report()
                except UNREACHABLE as error:
                    log.warning("channels not read", extra={"why": str(error)})
                except Exception:  # one bad row must not end the service of all channels
                    log.exception("channels not followed")
                try:
                    await asyncio.wait_for(stop.wait(), FOLLOW_SECONDS)
                except TimeoutError:
                    continue
        finally:
            await self._stop_all()

    async def _follow(self) -> None:
        async with transaction(self._runtime.pool) as conn:
            channels = [
                c for c in await readable_channels(conn, self._runtime.keyring) if self._usable(c)
            ]
            for channel in channels:
                await lease_store.ensure_connections(conn, channel.id, channel.connections)
            self._areas.update(await store.area_names(conn))
            codes = await load_codes(conn)
            self.handoff.county.now = await load_county(conn)
        self._codes.clear()
        self._codes.update(codes)
        await self._listen(channels)
        wanted = {(c.id, slot): c for c in channels for slot in range(c.connections)}
        for key, (link, task) in list(self._links.items()):
            if wanted.get(key) != link.channel:
                link.stop.set()
            if task.done():
                del self._links[key]
                if not task.cancelled() and (error := task.exception()):
                    log.error("link failed", exc_info=error)
        for key, channel in wanted.items():
            if key not in self._links:
                link = Link(self, channel, key[1])
                self._links[key] = (link, asyncio.create_task(link.run()))

    async def _report(self) -> None:
        """Write down how the channels do, and hear what the schedulers have decided of them."""
        news = self.book.news()
        async with transaction(self._runtime.pool) as conn:
            now = self._runtime.clock.now()
            standings = await health_store.report(conn, self.owner, news, now)
        self.book.tell(news)
        self.book.learn(standings)

    async def _listen(self, channels: list[Channel]) -> None:
        """Listen for the carriers that open a connection of their own, as the table now says."""
        wanted = {channel.id: channel for channel in channels}
        for channel_id, (channel, listening) in list(self._listening.items()):
            if wanted.get(channel_id) != channel:
                del self._listening[channel_id]
                await listening.aclose()
        for channel in channels:
            if channel.id not in self._listening:
                await self._listen_for(channel)

    async def _listen_for(self, channel: Channel) -> None:
        deliver = self.deliver_for(channel.id)
        gateway = registry.load()[channel.kind]
        listener = gateway.listener(channel.config, deliver, self._runtime.clock)
        if listener is None:
            return
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(listener)
            except OSError as error:  # tried again at the next look
                why = {"channel": channel.name, "why": str(error)}
                log.error("not listening for the carrier", extra=why)  # noqa: TRY400
                return
            self._listening[channel.id] = (channel, stack.pop_all())

    async def _wake(self, channel_id: int) -> None:
        """Wake a channel's connections, here and in every other process."""
        self.bells.ring(channel_id)
        await self._runtime.queue.ring(Job.DRAIN_CHANNEL, channel_id)

    def _usable(self, channel: Channel) -> bool:
        """A real channel never works under a simulated clock."""
        return channel.enabled and (channel.simulated or not self._runtime.clock.simulated)

    async def _stop_all(self) -> None:
        for link, _ in self._links.values():
            link.stop.set()
        tasks = [task for _, task in self._links.values()]
        await asyncio.gather(*tasks, return_exceptions=True)
        self._links.clear()
        for _, listening in self._listening.values():
            await listening.aclose()
        self._listening.clear()
