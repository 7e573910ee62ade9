"""What is sent, when, and what it amounted to: templates, campaigns, runs."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import IO, Any, Literal, cast

from tocsin_client.link import Link, into
from tocsin_client.types import (
    OPEN,
    Campaign,
    CampaignDetail,
    CampaignPreview,
    CampaignReport,
    CampaignState,
    LateChoice,
    Linted,
    Message,
    MessageClass,
    MessageState,
    Missed,
    Priority,
    Report,
    Run,
    RunDetail,
    Schedule,
    Started,
    Template,
    TextVersion,
)


class Templates:
    """`tocsin.templates`."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def create(
        self,
        name: str,
        text: str,
        *,
        message_class: MessageClass = "public_interest",
        topic: str = "",
        language: str = "zh",
        idempotency_key: str | None = None,
    ) -> Template:
        """Keep a text, with variables like {姓名}; `parts` and `lint` say how it travels."""
        body = {
            "name": name,
            "text": text,
            "class": message_class,
            "topic": topic,
            "language": language,
        }
        return cast(Template, await self._link.post("/templates", body, key=idempotency_key))

    async def lint(
        self,
        text: str,
        *,
        message_class: MessageClass = "public_interest",
        values: Mapping[str, str] | None = None,
    ) -> Linted:
        """Check a text without keeping it; `values`: of its variables."""
        body: dict[str, Any] = {"text": text, "class": message_class}
        if values is not None:
            body["values"] = dict(values)
        return cast(Linted, await self._link.post("/templates/lint", body))

    async def get(self, template_id: str) -> Template:
        """A template with its latest version."""
        return cast(Template, await self._link.get(f"/templates/{template_id}"))

    async def list(self) -> AsyncIterator[Template]:
        """The templates that you see."""
        async for template in self._link.pages("/templates"):
            yield template

    async def add_version(
        self,
        template_id: str,
        text: str,
        *,
        follows: int | None = None,
        idempotency_key: str | None = None,
    ) -> Template:
        """Give a template a new text; what was submitted with the old one is submitted again.

        follows: the version that you have read; it is refused once there is a newer one.
        """
        path = f"/templates/{template_id}/versions"
        body = {"text": text} | ({} if follows is None else {"follows": follows})
        return cast(Template, await self._link.post(path, body, key=idempotency_key))

    async def approve(
        self, template_id: str, version: int, *, acknowledged: Sequence[str] = ()
    ) -> Template:
        """Approve what somebody else wrote, for direct sends.

        acknowledged: the rules of lint whose findings of level review you have read.
        """
        body = {"version": version, "acknowledged": list(acknowledged)}
        return cast(Template, await self._link.post(f"/templates/{template_id}/approve", body))

    async def versions(self, template_id: str) -> AsyncIterator[TextVersion]:
        """All versions of a template, from new to old."""
        async for version in self._link.pages(f"/templates/{template_id}/versions"):
            yield version


class Campaigns:
    """`tocsin.campaigns`."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def create(  # noqa: PLR0913  # all but the name by name
        self,
        name: str,
        *,
        template_id: str,
        segment_id: str | None = None,
        schedule: Schedule | None = None,
        channels: Literal["auto"] | Sequence[int] = "auto",
        priority: Priority = "normal",
        max_tps: int | None = None,
        drill: bool = False,
        values: Mapping[str, str] | None = None,
        figures_from: str | None = None,
        more: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> CampaignDetail:
        """Plan a campaign; it is a draft, and nothing leaves before two persons agree.

        segment_id: for whom; None: it is a joint plan, whose `legs` are in `more`.
        values: what fills the text for all; figures_from: whose week's bulletin its figures are of.
        more: other fields of the plan, such as `period`, `safety`, `over_cap`, `legs`.
        """
        body: dict[str, Any] = {
            "name": name,
            "template_id": template_id,
            **({} if segment_id is None else {"segment_id": segment_id}),
            "channels": channels if channels == "auto" else list(channels),
            "priority": priority,
            "drill": drill,
            **(more or {}),
        }
        said = {
            "schedule": schedule,
            "max_tps": max_tps,
            "values": None if values is None else dict(values),
            "figures_from": figures_from,
        }
        body |= {field: value for field, value in said.items() if value is not None}
        made = await self._link.post("/campaigns", body, key=idempotency_key)
        return cast(CampaignDetail, made)

    async def edit(
        self, campaign_id: str, changes: Mapping[str, Any], *, version: str | None = None
    ) -> CampaignDetail:
        """Change a campaign that has not begun to send; its approval is void.

        version: of what you saw, from `get_versioned`.

        Raises:
            Stale: it is not what you saw any more.
        """
        path = f"/campaigns/{campaign_id}"
        return cast(CampaignDetail, await self._link.patch(path, dict(changes), version=version))

    async def get_versioned(self, campaign_id: str) -> tuple[CampaignDetail, str]:
        """A campaign, and its version for `edit`."""
        found, version = await self._link.get_versioned(f"/campaigns/{campaign_id}")
        return cast(CampaignDetail, found), version

    async def get(self, campaign_id: str) -> CampaignDetail:
        """A campaign with everything that happened to it."""
        return cast(CampaignDetail, await self._link.get(f"/campaigns/{campaign_id}"))

    async def list(self, *, state: CampaignState | None = None) -> AsyncIterator[Campaign]:
        """The campaigns that you see: all, or those in one state."""
        async for campaign in self._link.pages("/campaigns", {"state": state}):
            yield campaign

    async def preview(self, campaign_id: str) -> CampaignPreview:
        """Whom it would reach now, and what one of them would read."""
        found = await self._link.get(f"/campaigns/{campaign_id}/preview")
        return cast(CampaignPreview, found)

    async def submit(self, campaign_id: str) -> CampaignDetail:
        """Put a draft before an approver."""
        return await self._act(campaign_id, "submit", {})

    async def approve(
        self,
        campaign_id: str,
        *,
        reason: str = "",
        acknowledged: Sequence[str] = (),
        missed: LateChoice | None = None,
        content_hash: str | None = None,
    ) -> CampaignDetail:
        """Approve what somebody else submitted; it fires at its time.

        missed: what becomes of its fire if that is late by now. content_hash: that of the campaign
        as it was seen; None: whatever waits now.
        """
        body: dict[str, Any] = {"reason": reason, "acknowledged": list(acknowledged)}
        more = _with(body, missed=missed, content_hash=content_hash)
        return await self._act(campaign_id, "approve", more)

    async def send_back(self, campaign_id: str, reason: str) -> CampaignDetail:
        """Return a submitted campaign to its planners, to be mended."""
        return await self._act(campaign_id, "return", {"reason": reason})

    async def reject(self, campaign_id: str, reason: str) -> CampaignDetail:
        """Refuse a submitted campaign for good."""
        return await self._act(campaign_id, "reject", {"reason": reason})

    async def release(
        self,
        campaign_id: str,
        reason: str = "",
        *,
        missed: Literal["run", "skip"] | None = None,
        planned_at: str | None = None,
    ) -> CampaignDetail:
        """Let a campaign on hold, or a fire of it that is held, go now; `missed="skip"`: leave it
        out. planned_at: which fire, where several are held.
        """
        body = _with({"reason": reason}, missed=missed, planned_at=planned_at)
        return await self._act(campaign_id, "release", body)

    async def pause(self, campaign_id: str, reason: str = "") -> CampaignDetail:
        """Stop handing off; after the answer, nothing that was not already leaving goes out."""
        return await self._act(campaign_id, "pause", {"reason": reason})

    async def resume(
        self, campaign_id: str, reason: str = "", *, missed: LateChoice | None = None
    ) -> CampaignDetail:
        """Go on where it was paused; `decided_fires` says what becomes of the fires it missed.

        missed: run the last of them now, hold it for a release, or skip them; needed where the plan
        holds late fires.
        """
        return await self._act(campaign_id, "resume", _with({"reason": reason}, missed=missed))

    async def cancel(self, campaign_id: str, reason: str = "") -> CampaignDetail:
        """End it; what has left has left."""
        return await self._act(campaign_id, "cancel", {"reason": reason})

    async def test_send(self, campaign_id: str) -> Started:
        """Send what was submitted to your own phone, before you approve it."""
        return cast(Started, await self._link.post(f"/campaigns/{campaign_id}/test-send"))

    async def top_up(
        self, campaign_id: str, *, reason: str = "", idempotency_key: str | None = None
    ) -> Started:
        """Send the last fire's text to those who joined the segment since."""
        path = f"/campaigns/{campaign_id}/top-up"
        made = await self._link.post(path, {"reason": reason}, key=idempotency_key)
        return cast(Started, made)

    async def report(
        self, campaign_id: str, *, first: str | None = None, last: str | None = None
    ) -> CampaignReport:
        """What a plan amounts to by week and carrier; `first`, `last`: days, as in 2027-01-12."""
        query = {"from": first, "to": last}
        found = await self._link.get(f"/campaigns/{campaign_id}/report", query)
        return cast(CampaignReport, found)

    async def runs(self, campaign_id: str) -> AsyncIterator[Run]:
        """The fires of a campaign, from new to old."""
        async for run in self._link.pages(f"/campaigns/{campaign_id}/runs"):
            yield run

    async def wait_for_run(
        self,
        campaign_id: str,
        *,
        timeout: float = 120,  # noqa: ASYNC109  # of the whole wait
        every: float = 1.0,
    ) -> Run:
        """The latest run, once there is one.

        Raises:
            TimeoutError: it has not fired within `timeout` seconds.
        """
        async with asyncio.timeout(timeout):
            while True:
                async for run in self.runs(campaign_id):
                    return run
                await asyncio.sleep(every)

    async def _act(self, campaign_id: str, act: str, body: Mapping[str, Any]) -> CampaignDetail:
        """One step; repeated by the link under one key only, so a step is never taken twice."""
        path = f"/campaigns/{campaign_id}/{act}"
        return cast(CampaignDetail, await self._link.post(path, body))


class Runs:
    """`tocsin.runs`."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def get(self, run_id: str) -> RunDetail:
        """A run, and what you could do with it now."""
        return cast(RunDetail, await self._link.get(f"/runs/{run_id}"))

    async def missed(self, run_id: str) -> Missed:
        """Whom a run has not reached, by reason, and to whom its text may be sent again."""
        return cast(Missed, await self._link.get(f"/runs/{run_id}/missed"))

    async def resend_missed(
        self,
        run_id: str,
        *,
        channels: Sequence[int] | None = None,
        reason: str = "",
        idempotency_key: str | None = None,
    ) -> Started:
        """Send the text again to those whom a run has certainly missed, over other channels if some
        are given.
        """
        body: dict[str, Any] = {"reason": reason}
        if channels is not None:
            body["channels"] = list(channels)
        path = f"/runs/{run_id}/resend-missed"
        return cast(Started, await self._link.post(path, body, key=idempotency_key))

    async def correct(
        self,
        run_id: str,
        name: str,
        *,
        template_id: str,
        schedule: Schedule | None = None,
        values: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> CampaignDetail:
        """Draft a correction to those who got a run, or may have; submit it as any campaign.

        values: what fills the text for all who get it.
        """
        body: dict[str, Any] = {"name": name, "template_id": template_id}
        if values is not None:
            body["values"] = dict(values)
        if schedule is not None:
            body["schedule"] = schedule
        made = await self._link.post(f"/runs/{run_id}/correction", body, key=idempotency_key)
        return cast(CampaignDetail, made)

    async def report(self, run_id: str) -> Report:
        """What a run amounts to at this moment."""
        return cast(Report, await self._link.get(f"/runs/{run_id}/report"))

    async def save_evidence(self, run_id: str, file: IO[bytes]) -> None:
        """Write the signed evidence of a run into a file, as ZIP: who approved what, what came."""
        await self._link.download(f"/runs/{run_id}/evidence", into(file))

    async def messages(
        self, run_id: str, *, state: MessageState | None = None
    ) -> AsyncIterator[Message]:
        """The ledger of a run in its order: all of it, or the texts in one state."""
        async for message in self._link.pages(f"/runs/{run_id}/messages", {"state": state}):
            yield message

    async def follow(
        self, run_id: str, *, until: Literal["sent", "settled"] = "sent", every: float = 2.0
    ) -> AsyncIterator[Report]:
        """The report now, then whenever it has changed, until the run is `sent` or `settled`.

        sent: everything has been handed off, or was cancelled. settled: every text is in a final
        state as well, for which a receipt may take up to three days.
        """
        seen: Report | None = None
        while True:
            report = await self.report(run_id)
            if report != seen:
                yield report
            seen = report
            if _over(report, until):
                return
            await asyncio.sleep(every)


def _with(body: dict[str, Any], **more: object) -> dict[str, Any]:
    """The body with what is given besides."""
    return body | {name: value for name, value in more.items() if value is not None}


def _over(report: Report, until: str) -> bool:
    if report["state"] not in {"sent", "cancelled"}:
        return False
    open_now = sum(count for state, count in report["states"].items() if state in OPEN)
    return until == "sent" or open_now == 0
