"""Try a channel: log in, log out, and say in plain words what the carrier answered.

Nothing is submitted. What the carrier delivers meanwhile is not acknowledged, so it comes again on
a connection of those who store it.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import uuid4

from redis.asyncio import Redis
from redis.exceptions import RedisError

from service.channels.contract.address_check import AllowedAddresses, going
from service.channels.contract.gateway import Delivery, Gateway, GatewayError
from service.channels.contract.model import Channel, without_secrets
from service.channels.contract.registry import factory
from service.channels.links.logins import failed
from service.channels.trial import link_explanations
from service.channels.trial.link_explanations import LinkExplanation
from service.clock import Clock
from service.errors import Conflict, TocsinError, Unavailable
from service.queue import read_script
from service.words.catalogues import LANGUAGES
from service.words.phrase import pair, phrase, translated

log = logging.getLogger(__name__)

TRIAL_SECONDS = 15.0
WATCH_SECONDS = 1.0
"""How long a login that was accepted is watched: some carriers close it at once."""

LOOK_SECONDS = 0.02
CLOSE_SECONDS = 10.0
LOCK_SECONDS = 60
"""Longer than any trial; whoever dies in one keeps others from the channel for no longer."""

_ACCEPTED = LinkExplanation(
    "运营商接受了登录，已退出", "the carrier accepted the login; logged out again"
)
_ANSWERS = LinkExplanation(
    "只建立了连接，什么也没有发送：地址和网络可达，账号密码要到发第一条短信时才能验证",
    "a connection was opened and closed, and nothing was sent: somebody answers at the address; "
    "whether the credentials are right only the first text shows",
)
_UNLOCK = read_script(__file__, "unlock.lua")


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of it. code: the carrier's own where it gave one, else the kind of failure.

    plain: the same in two languages, and what became of the channel's own connections.
    """

    ok: bool
    detail: str
    code: str
    milliseconds: int
    plain: LinkExplanation


def check_clock(channel: Channel, clock: Clock) -> None:
    """Keep simulated time away from real carriers.

    Raises:
        Conflict: the channel is real and the time is not.
    """
    if clock.simulated and not channel.simulated:
        raise Conflict(
            phrase(
                "{channel} is a real channel, and this system runs on simulated time:"
                " no real carrier is called then",
                channel=channel.name,
            ),
            code="simulated_clock",
        )


async def try_channel(
    channel: Channel,
    clock: Clock,
    redis: Redis,
    connections_up: int,
    losses: LinkExplanation | None = None,
    *,
    where: AllowedAddresses = AllowedAddresses(),  # noqa: B008  # it is frozen
) -> Trial:
    """Log in with the channel's settings, whether or not it is enabled.

    Args:
        channel: as configured.
        clock: of the system.
        redis: keeps two trials of one channel apart.
        connections_up: how many connections of the channel are logged in already.
        losses: what became of its own connections of late.
        where: it may connect to; anything else is not knocked at.

    Raises:
        Conflict: another trial is under way, or simulated time would reach a real carrier.
        Unavailable: Redis cannot be reached.
    """
    check_clock(channel, clock)
    async with _alone(redis, channel.id):
        loop = asyncio.get_running_loop()
        began = loop.time()
        with going(where):
            ok, said, code, quoted = await _log_in(channel, clock)
        milliseconds = round((loop.time() - began) * 1000)
    if not ok and connections_up:
        said = said.then(_others_up(connections_up))
    said = LinkExplanation(*(without_secrets(words, channel.config, quoted) for words in said))
    trial = Trial(ok, pair(said.zh, said.en), code, milliseconds, _with_losses(said, losses))
    log.info(
        "channel tried",
        extra={"channel": channel.name, "ok": ok, "code": code, "milliseconds": milliseconds},
    )
    return trial


def _with_losses(said: LinkExplanation, losses: LinkExplanation | None) -> LinkExplanation:
    """What it came to, and what became of the channel's own connections of late."""
    plain = LinkExplanation(f"{said.zh}。", f"{said.en}. ").then(losses or LinkExplanation("", ""))
    return LinkExplanation(plain.zh, plain.en.rstrip())


async def _log_in(channel: Channel, clock: Clock) -> tuple[bool, LinkExplanation, str, str]:
    """Whether it worked, what to say of it, the code, and what of that is quoted of others."""
    gateway = factory(channel.kind)(channel.config, _take_nothing, clock)
    try:
        async with asyncio.timeout(TRIAL_SECONDS):
            await gateway.open()
        lived = await _watch(gateway)
    except TimeoutError:
        return False, _no_answer(), "unreachable", ""
    except GatewayError as error:
        return False, link_explanations.not_logged_in(failed(error)), error.code, error.quoted
    except TocsinError as error:  # such as a certificate file that is not there
        said = LinkExplanation(*(translated(error.message, language) for language in LANGUAGES))
        return False, said, error.code, error.message
    finally:
        await _close(gateway)
    if lived is not None:
        why = gateway.ended
        quoted = "" if why in link_explanations.REASONS else why
        return False, link_explanations.accepted_and_closed(why, lived), "closed", quoted
    return True, _ACCEPTED if gateway.logs_in else _ANSWERS, "", ""


async def _watch(gateway: Gateway) -> float | None:
    """See whether the link stays; the seconds it lived if it does not."""
    loop = asyncio.get_running_loop()
    since = loop.time()
    while loop.time() - since < WATCH_SECONDS:
        if gateway.ended:
            return loop.time() - since
        await asyncio.sleep(LOOK_SECONDS)
    return None


async def _close(gateway: Gateway) -> None:
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await gateway.close(drain_seconds=0)
    except TimeoutError:
        log.warning("a trial's connection did not close in time")


def _take_nothing(_: Delivery) -> "asyncio.Future[None]":
    refused: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    refused.cancel()
    return refused


def _no_answer() -> LinkExplanation:
    return LinkExplanation(
        f"{TRIAL_SECONDS:g} 秒内没有应答；请检查地址、端口和防火墙",
        f"no answer within {TRIAL_SECONDS:g} s; check address, port and firewall",
    )


def _others_up(connections: int) -> LinkExplanation:
    return LinkExplanation(
        f"。本通道已有 {connections} 条连接在线，测试还要再占一条：如果账号不允许更多登录，"
        "这次被拒绝只说明这一点",
        f". This channel has {connections} connection{'s' if connections > 1 else ''} up, and a "
        "test needs one more: if the account allows no more logins, the refusal means only that",
    )


@asynccontextmanager
async def _alone(redis: Redis, channel_id: int) -> AsyncIterator[None]:
    key, token = f"tocsin:trial:{channel_id}", uuid4().hex
    try:
        taken = not await redis.set(key, token, nx=True, ex=LOCK_SECONDS)
        if taken and not 0 <= await redis.ttl(key) <= LOCK_SECONDS:  # nobody of us left it so
            await redis.set(key, token, ex=LOCK_SECONDS)
        elif taken:
            raise Conflict(
                phrase("a test of this channel is under way; wait for its answer"),
                code="in_progress",
            )
    except (RedisError, OSError) as error:
        raise Unavailable(
            phrase("Redis cannot be reached, so no test can be run; try again")
        ) from error
    try:
        yield
    finally:
        try:
            await redis.eval(_UNLOCK, 1, key, token)  # type: ignore[misc]  # sync or async
        except (RedisError, OSError) as error:
            log.warning("a trial's lock waits to expire", extra={"why": str(error)})
