"""What operators look after: texts in doubt, channels, the switch that stops everything, keys."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Literal, cast

from tocsin_client.link import Link
from tocsin_client.types import (
    AuditEntry,
    Channel,
    ChannelHealth,
    ChannelQueue,
    Decided,
    Decision,
    Doubt,
    Key,
    Lifted,
    Stand,
    TrailCheck,
)


class Uncertain:
    """`tocsin.uncertain`: texts that may have left and have no answer."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def list(
        self, *, run_id: str | None = None, channel_id: int | None = None
    ) -> AsyncIterator[Doubt]:
        """All that you see, or those of a run or a channel."""
        query = {"run": run_id, "channel": channel_id}
        async for doubt in self._link.pages("/uncertain", query):
            yield doubt

    async def decide(
        self,
        decision: Decision,
        reason: str,
        *,
        ids: Sequence[str] = (),
        run_id: str | None = None,
        channel_id: int | None = None,
        idempotency_key: str | None = None,
    ) -> Decided:
        """Say what became of some by their `ids`, or of all of a run; `reason`: how you know."""
        body: dict[str, Any] = {"decision": decision, "reason": reason}
        if ids:
            body["ids"] = list(ids)
        if run_id is not None:
            body["run_id"] = run_id
        if channel_id is not None:
            body["channel_id"] = channel_id
        made = await self._link.post("/uncertain/decide", body, key=idempotency_key)
        return cast(Decided, made)


class Channels:
    """`tocsin.channels`."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def list(self) -> AsyncIterator[Channel]:
        """All channels."""
        for channel in (await self._link.get("/channels"))["items"]:
            yield channel

    async def health(self, channel_id: int) -> ChannelHealth:
        """How a channel is doing, since when and why."""
        return cast(ChannelHealth, await self._link.get(f"/channels/{channel_id}/health"))

    async def queue(self, channel_id: int) -> ChannelQueue:
        """What waits on a channel, what holds it, and for how long."""
        return cast(ChannelQueue, await self._link.get(f"/channels/{channel_id}/queue"))


class StopAll:
    """`tocsin.stop_all`: for users of county, police and carrier departments."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def get(self) -> Stand:
        """Whether everything is stopped, since when and why."""
        return cast(Stand, await self._link.get("/stop-all", {"count": "true"}))

    async def stop(self, reason: str) -> Stand:
        """Stop all sending; after the answer, nothing that was not already leaving goes out."""
        return cast(Stand, await self._link.post("/stop-all", {"reason": reason}))

    async def lift(
        self, reason: str, *, direct_runs: Literal["uncertain", "resume", "cancel"] | None = None
    ) -> Lifted:
        """Let sending go on; `held` lists what was held meanwhile. direct_runs: of a restored
        database, what becomes of the queued texts, which may have left; None: `uncertain`.
        """
        body: dict[str, object] = {"reason": reason}
        if direct_runs is not None:
            body["direct_runs"] = direct_runs
        return cast(Lifted, await self._link.post("/stop-all/lift", body))


class Keys:
    """`tocsin.keys`: for administrators."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def list(self) -> AsyncIterator[Key]:
        """The keys of your department, without their tokens."""
        async for key in self._link.pages("/keys"):
            yield key

    async def activate(self, key_id: str) -> Key:
        """Let a key work that somebody else has made."""
        return cast(Key, await self._link.post(f"/keys/{key_id}/activate"))

    async def revoke(self, key_id: str) -> None:
        """End a key at once."""
        await self._link.post(f"/keys/{key_id}/revoke")


class Audit:
    """`tocsin.audit`: what was done, for administrators."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def entries(
        self,
        *,
        action: str | None = None,
        object_id: str | None = None,
        since: str | None = None,
        until: str | None = None,
    ) -> AsyncIterator[AuditEntry]:
        """What was done in your department, from new to old; `action` as in `approve_campaign`."""
        query = {"action": action, "object_id": object_id, "since": since, "until": until}
        async for entry in self._link.pages("/audit", query):
            yield entry

    async def check(self, head: str | None = None) -> TrailCheck:
        """Have the whole trail verified by a worker; the check that is under way, if there is one.

        head: a seal that was written down, such as `4711:9f3c…`.
        """
        return cast(TrailCheck, await self._link.post("/audit/checks", {"head": head}))

    async def get_check(self, check_id: str) -> TrailCheck:
        """How far a check is (`done` of `total`), and what it `found` when it has ended."""
        return cast(TrailCheck, await self._link.get(f"/audit/checks/{check_id}"))
