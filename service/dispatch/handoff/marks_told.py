"""What one connection tells Redis of its marks, and what follows where the database is outdated."""

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import replace

from service.campaigns.stops import witness
from service.campaigns.stops.witness import MarkStand, Outdated, Telling
from service.dispatch.handoff.lease import HeldLease
from service.dispatch.handoff.recorder import RETRY_SECONDS, Handoff
from service.dispatch.limits.pace import RateLimit, TokenGrant
from service.errors import Unavailable
from service.logs import seldom
from service.storage.postgres import COLLISIONS, UNREACHABLE

log = logging.getLogger(__name__)

_TRANSIENT: tuple[type[Exception], ...] = (Unavailable, *UNREACHABLE, *COLLISIONS)


class MarksTold:
    """What the latest mark of a connection has left, and is told with each question for tokens."""

    def __init__(self, shared: Handoff, held: HeldLease) -> None:
        self._stand: MarkStand | None = None
        self._told: Telling | None = None
        self._free: TokenGrant | None = None
        """What was granted without limits since the latest mark was told."""
        self._shared = shared
        self._held = held

    def note(self, stand: MarkStand | None) -> bool:
        """Keep what a mark has left; whether those before it were made where the database is no
        more, so that they must not be written.
        """
        if stand is None:
            return False
        self._free = None
        before, self._stand = self._stand, stand
        self._told = witness.telling(self._shared.keyring, stand)
        return before is not None and before.cluster != stand.cluster

    async def take(self, limits: Sequence[RateLimit], want: int, least: int) -> TokenGrant:
        """Tokens for what was marked, as of `Pace.take`; none, where somebody else has written to
        Redis what speaks against it. Where nothing limits, one answer serves for as long as a token
        may be used, so that a small window costs no question a text.

        Raises:
            Unavailable: Redis does not answer.
            Outdated: the database has lost what was marked, or may have; it is not told again.
        """
        if not limits and self._free is not None and not self._free.stale:
            return replace(self._free, count=want)
        stand, told = self._stand, self._told
        if stand is None or told is None:  # a text that has begun to leave was told before
            return await self._shared.pace.take(limits, want, least)
        try:
            grant = await self._shared.pace.take_telling(told, limits, want, least)
        except Outdated as error:
            if witness.kept_against(self._shared.keyring, stand, error) is not None:
                self._stand = self._told = None
                raise
        else:
            if not limits and stand is self._stand:
                self._free = grant
            return grant
        await self._shared.pace.tell_anew(told)
        return TokenGrant(0, 0.0, time.monotonic())

    async def look_at_database(self, error: Outdated) -> None:
        """Have the database looked at, unless this connection is another process's by now."""
        if not self._held.valid:
            return
        seldom(log, logging.WARNING, "the database is looked at: it may lack marks", why=error.why)
        try:
            await self._shared.look_at_database()
        except _TRANSIENT as trouble:
            log.warning("the database is not looked at", extra={"why": str(trouble)})
            await asyncio.sleep(RETRY_SECONDS)
