"""A channel process: holds connections of the enabled channels and hands off over them.

It follows the channels table, shares a channel's connections with its peers by lease, keeps a
login limit by never holding more than the channel has, and reconnects by itself, with a patience
that all connections of a channel share (`channels.logins`). None of this lives in the arq worker,
which is rebuilt whenever Redis hiccups.
"""

import asyncio
import logging
import uuid
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial

from service.campaigns.calendar.county_store import load_county
from service.campaigns.stops import restored
from service.channels.config.codes import Codes
from service.channels.config.codes_store import load_codes
from service.channels.config.store import readable_channels
from service.channels.contract import address_check, networks, registry
from service.channels.contract.gateway import DeliveryHandler, Gateway, GatewayError
from service.channels.contract.model import LISTS, Channel
from service.channels.links import logins, logins_store, refusals_store
from service.channels.links.refusals import Refusals
from service.dispatch.failover import health_store
from service.dispatch.failover.health import ChannelHealth
from service.dispatch.handoff import lease_store, store
from service.dispatch.handoff.lease import POOL_SIZE, HeldLease
from service.dispatch.handoff.provider_query import inquire_forever
from service.dispatch.handoff.recorder import Handoff, Rematch
from service.dispatch.handoff.sender import Sender
from service.dispatch.handoff.writer import TRANSIENT
from service.dispatch.limits.pace import Pace
from service.logs import log_context
from service.messages.lint import lint_store
from service.queue import Job
from service.runtime import Runtime
from service.storage.postgres import BY_KEY, UNREACHABLE, Connection, Pool, open_pool, transaction

log = logging.getLogger(__name__)

FOLLOW_SECONDS = 2.0
TURN = "channels followed"
"""The turn of the loop that keeps the links in step with the table of channels."""
PROOF_SECONDS = 1.0
"""Between looks whether a link has worked by now."""


@dataclass
class Wakeups:
    """One event a channel, set by the `drain_channel` job: there is something to hand off."""

    events: dict[int, asyncio.Event] = field(default_factory=lambda: defaultdict(asyncio.Event))

    def wake(self, channel_id: int) -> bool:
        """Wake the connections of a channel; whether this process has had any."""
        if channel_id not in self.events:
            return False
        self.events[channel_id].set()
        return True


class ConnectionSlot:
    """One slot of one channel in this process: wait for the lease, connect, hand off, reconnect."""

    def __init__(self, server: "ChannelServer", channel: Channel, slot: int) -> None:
        self.channel = channel
        self.slot = slot
        self.stop = asyncio.Event()
        self._server = server
        self._handoff = server.handoff
        self._turn = False
        """Whether the login under way is the channel's one for now."""

    async def run(self) -> None:
        """Serve this slot until `stop` is set."""
        where = self._server.reach_of(self.channel)
        with (
            log_context(channel=self.channel.name, slot=str(self.slot)),
            address_check.going(where),
        ):
            while not self.stop.is_set():
                try:
                    with self._server.place() as free:
                        if free and (lease := await self._claim()):
                            await self._hold(HeldLease(lease))
                except TRANSIENT as error:
                    log.warning("connection waits for the database", extra={"why": str(error)})
                await self._pause(FOLLOW_SECONDS)

    async def _claim(self) -> lease_store.Lease | None:
        """The lease, if it is free; first a look whether this is the database it was."""
        await self._server.check_database()
        now = self._handoff.clock.now()
        async with transaction(self._handoff.pool) as conn:
            by_list = self.channel.kind in LISTS
            if by_list and not await store.list_is_drawn(conn, self.channel.id):
                return None  # it was closed since the channels were read
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
        while await self._may_log_in(held):
            gateway = self._server.open_gateway(self.channel)
            try:
                await gateway.open()
            except GatewayError as error:
                log.warning("not connected", extra={"why": error.message, "code": error.code})
                await self._ended(held, logins.failed(error))
                continue
            since = asyncio.get_running_loop().time()
            if self._turn:
                await self._tell(logins_store.opened)
            await self._note(held, "up", "")
            await self._send(held, gateway, since)
            if self.stop.is_set() or held.fenced.is_set():
                return
            ending = logins.ended(gateway, asyncio.get_running_loop().time() - since)
            log.warning("connection lost", extra={"why": ending.why, "lived": ending.lived})
            await self._ended(held, ending)

    async def _may_log_in(self, held: HeldLease) -> bool:
        """Wait until this connection may log in; False: it need not any more."""
        while not (self.stop.is_set() or held.fenced.is_set()):
            try:
                async with transaction(self._handoff.pool) as conn:
                    self._turn, wait = await logins_store.take_turn(conn, self.channel.id)
            except UNREACHABLE as error:
                log.warning("login waits for the database", extra={"why": str(error)})
                wait = FOLLOW_SECONDS
            if not wait:
                return True
            await self._pause(min(wait, FOLLOW_SECONDS))
        return False

    async def _ended(self, held: HeldLease, ending: logins.Ending) -> None:
        """Keep how a login or link ended; after a link that had worked a moment is enough."""
        now = self._handoff.clock.now()
        await self._note(held, "down", ending.sentence)
        if ending.how == "lost":
            await self._tell(logins_store.worked)
        else:
            await self._tell(partial(logins_store.failed, ending=ending, turn=self._turn))

        async def keep(conn: Connection, channel_id: int) -> None:
            slot, owner = held.lease.slot, held.lease.owner
            await logins_store.note_loss(conn, channel_id, slot, owner, ending, now)

        await self._tell(keep)
        if ending.how == "lost":
            await self._pause(logins.jittered(logins.FIRST_SECONDS))

    async def _tell(self, write: Callable[[Connection, int], Awaitable[None]]) -> None:
        """Write down something of this channel's logins; without the database it is lost."""
        try:
            async with transaction(self._handoff.pool) as conn:
                await write(conn, self.channel.id)
        except UNREACHABLE as error:
            log.warning("a login is not noted", extra={"why": str(error)})

    async def _prove(self, gateway: Gateway, since: float) -> None:
        """Once the link has worked, let the channel's other connections log in at once."""
        loop = asyncio.get_running_loop()
        while not logins.has_worked(gateway, loop.time() - since):  # noqa: ASYNC110  # a time
            await asyncio.sleep(PROOF_SECONDS)
        await self._tell(logins_store.worked)

    async def _send(self, held: HeldLease, gateway: Gateway, since: float) -> None:
        """Hand off until the link ends; meanwhile ask about what is uncertain, where one can.

        since: when it was logged in, in the loop's time.
        """
        proving = asyncio.create_task(self._prove(gateway, since))
        deliver = self._server.deliver_for(self.channel.id)
        asking = asyncio.create_task(inquire_forever(self._handoff, self.channel, gateway, deliver))
        wakeup = self._server.wakeups.events[self.channel.id]
        try:
            await Sender(self._handoff, self.channel, held, gateway).run(self.stop, wakeup)
        finally:
            asking.cancel()
            proving.cancel()
            await asyncio.gather(asking, proving, return_exceptions=True)

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
        deliver: Callable[[int], DeliveryHandler],
        rematch: Rematch,
        *,
        max_connections: int = 0,
        serves: Callable[[Channel], bool] = lambda _: True,
    ) -> None:
        """`deliver` gives each channel's way into the inbox; `max_connections` limits those that
        this process holds at once (0: no limit), so that peers get their share; `serves` says which
        channels are this process's.
        """
        self.owner = uuid.uuid4()
        self.wakeups = Wakeups()
        self._places, self._max_connections = 0, max_connections
        self._serves = serves
        self._networks = networks.read_networks(runtime.settings.carrier_networks)
        self._runtime = runtime
        self.health = ChannelHealth()
        self.deliver_for = self.health.counting(deliver)
        self._areas: dict[str, tuple[str, str]] = {}
        self._codes: dict[str, Codes] = {}
        self.handoff = Handoff(
            runtime.pool,
            runtime.clock,
            runtime.keyring,
            Pace(runtime.redis),
            self._areas,
            rematch,
            self._codes,
            self._wake,
            partial(restored.look_again, runtime),
            self.health,
            life=runtime.life,
        )
        self._links: dict[tuple[int, int], tuple[ConnectionSlot, asyncio.Task[None]]] = {}
        self._listening: dict[int, tuple[Channel, AsyncExitStack]] = {}
        self._refusals = Refusals()
        self.lease_pool: Pool

    @contextmanager
    def place(self) -> Iterator[bool]:
        """A place for one more connection in this process, if there is one."""
        if self._max_connections and self._places >= self._max_connections:
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

    def reach_of(self, channel: Channel) -> address_check.AllowedAddresses:
        """Where a channel may connect to."""
        settings = self._runtime.settings
        return networks.reach_of(channel, self._networks, settings.own_servers)

    async def run(self, stop: asyncio.Event) -> None:
        """Follow the channels table until `stop`, then drain and release everything."""
        url = self._runtime.settings.database_url
        async with open_pool(url, size=POOL_SIZE, session=BY_KEY) as pool:
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
                self._runtime.life.turns.note(TURN)
                try:
                    await asyncio.wait_for(stop.wait(), FOLLOW_SECONDS)
                except TimeoutError:
                    continue
        finally:
            await self._stop_all()

    async def _follow(self) -> None:
        async with transaction(self._runtime.pool) as conn:
            drawn = await store.channels_with_a_list(conn)
            channels = [
                c
                for c in await readable_channels(conn, self._runtime.keyring)
                if self._usable(c) and (c.kind not in LISTS or c.id in drawn)
            ]
            for channel in channels:
                await lease_store.ensure_connections(conn, channel.id, channel.connections)
            self._areas.update(await store.area_names(conn))
            self.handoff.values.follow(
                await lint_store.never_words(conn), await lint_store.landlines(conn)
            )
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
                link = ConnectionSlot(self, channel, key[1])
                self._links[key] = (link, asyncio.create_task(link.run()))

    async def _report(self) -> None:
        """Write down how the channels do, and hear what the schedulers have decided of them."""
        counts, refused = self.health.unwritten(), dict(self._refusals.counts)
        async with transaction(self._runtime.pool) as conn:
            now = self._runtime.clock.now()
            standings = await health_store.report(conn, self.owner, counts, now)
            await refusals_store.add_refusals(conn, refused, now)
        self._refusals.written(refused)
        self.health.mark_written(counts)
        self.health.take_standings(standings)

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
        clock, simulated = self._runtime.clock, channel.simulated
        listener = gateway.listener(channel.config, deliver, clock, simulated=simulated)
        if listener is None:
            return
        self._refusals.follow(channel.id, listener)
        async with AsyncExitStack() as stack:
            try:
                where = self.reach_of(channel)
                with log_context(channel=channel.name), address_check.going(where):
                    await stack.enter_async_context(listener)
            except OSError as error:  # tried again at the next look
                why = {"channel": channel.name, "why": str(error)}
                log.error("not listening for the carrier", extra=why)  # noqa: TRY400
                return
            self._listening[channel.id] = (channel, stack.pop_all())

    async def _wake(self, channel_id: int) -> None:
        """Wake a channel's connections, here and in every other process."""
        self.wakeups.wake(channel_id)
        await self._runtime.queue.enqueue(Job.DRAIN_CHANNEL, channel_id)

    def _usable(self, channel: Channel) -> bool:
        """A real channel never works under a simulated clock."""
        real_time = channel.simulated or not self._runtime.clock.simulated
        return channel.enabled and real_time and self._serves(channel)

    async def _stop_all(self) -> None:
        for link, _ in self._links.values():
            link.stop.set()
        tasks = [task for _, task in self._links.values()]
        await asyncio.gather(*tasks, return_exceptions=True)
        self._links.clear()
        for _, listening in self._listening.values():
            await listening.aclose()
        self._listening.clear()
