"""What each command does: one call of the client, and which members of the answer are shown."""

import sys
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

from tocsin_client import ImportFailed, Tocsin
from tocsin_client.ctl import fires, import_report, review
from tocsin_client.ctl.parser import Act, Options
from tocsin_client.ctl.screen import Screen, cell, said, say, speaks_chinese
from tocsin_client.types import Evidence

BAD = 1
"""The exit code of what was asked and found bad: a blocked text, a file that cannot be read."""

CAMPAIGN = (
    *("id", "name", "state", "class", "priority", "template_id", "segment_id"),
    *("baseline", "next_fire_at", "submitted_by", "approved_by"),
)
REPORT = (
    *("run_id", "state", "target", "reached", "parts", "states", "by_reason", "excluded"),
    *("started_at", "finished_at"),
)
TEMPLATE = ("id", "name", "class", "topic", "version", "parts", "encoding", "variables", "lint")
Item = TypeVar("Item")


async def each(items: Iterable[Item]) -> AsyncIterator[Item]:
    """What is there already, as a list that comes."""
    for item in items:
        yield item


def read_text(given: str) -> str:
    """The words themselves; `-`: standard input, `@FILE`: a file."""
    if given == "-":
        return sys.stdin.read().rstrip("\n")
    return Path(given[1:]).read_text("utf-8").rstrip("\n") if given.startswith("@") else given


def _evidence(o: Options) -> Evidence:
    names = ("evidence", "evidence_on", "evidence_by", "evidence_how", "evidence_form")
    given = {name: getattr(o, name) for name in names}
    return cast(Evidence, {name: value for name, value in given.items() if value is not None})


async def add_import(tocsin: Tocsin, o: Options, screen: Screen) -> int | None:
    """Give in a file, and wait until it has been read."""
    taken = await tocsin.imports.upload(
        o.file,
        roster=o.roster,
        basis=o.basis,
        expires_on=o.expires_on,
        evidence=_evidence(o),
        encoding=o.encoding,
        columns=dict(o.column or ()),
        mode=o.mode,
        dry_run=o.dry_run,
    )
    if o.no_wait:
        screen.facts(taken, ("id", "state"))
        return None
    try:
        _import(screen, await tocsin.imports.wait(taken["id"], timeout=o.timeout))
    except ImportFailed:
        _import(screen, await tocsin.imports.get(taken["id"]))
        return BAD
    return None


def _import(screen: Screen, found: Mapping[str, Any]) -> None:
    if screen.as_json:
        screen.facts(found, ())
    screen.text(import_report.lines_of(found))


async def show_import(tocsin: Tocsin, o: Options, screen: Screen) -> None:
    """An import and its report."""
    _import(screen, await tocsin.imports.get(o.id))


async def list_rejects(tocsin: Tocsin, o: Options, screen: Screen) -> None:
    """The rejected rows."""
    rows = tocsin.imports.rejects(o.id)
    if screen.as_json or not speaks_chinese():
        await screen.table(rows, ("sheet", "row", "code", "reason", "value", "suggestion"))
        return
    why = ({**row, "reject": import_report.rejected(row["code"])} async for row in rows)
    await screen.table(why, ("sheet", "row", "reject", "value", "suggestion"))


async def undo_import(tocsin: Tocsin, o: Options, screen: Screen) -> None:
    """Have an import taken back."""
    screen.facts(await tocsin.imports.undo(o.id), ("id", "undo"))


async def list_rosters(tocsin: Tocsin, _: Options, screen: Screen) -> None:
    """The rosters."""
    names = ("id", "name", "contacts", "basis", "expires_on", "expired")
    await screen.table(tocsin.rosters.list(), names)


def _with_towns(found: Mapping[str, Any], screen: Screen) -> Mapping[str, Any]:
    """A preview whose towns have their names, for a person."""
    if screen.as_json:
        return found
    names = found["area_names"]
    towns = {names.get(code, code): count for code, count in found["by_area"].items()}
    return {**found, "by_area": towns}


async def preview_rule(tocsin: Tocsin, o: Options, screen: Screen) -> None:
    """Whom a rule means."""
    counted = await tocsin.segments.preview(read_text(o.rule), message_class=o.message_class)
    found = _with_towns(counted, screen)
    screen.facts(
        found, ("target", "by_area", "by_carrier", "by_role", "excluded", "not_known", "sample")
    )


async def explain_rule(tocsin: Tocsin, o: Options, screen: Screen) -> None:
    """A rule in words."""
    given = o.rule or o.named_rule
    if given is None or (o.rule and o.named_rule):
        raise ValueError(say("give one rule", "请给出一条规则"))
    found = await tocsin.segments.explain(read_text(given))
    screen.facts(found, ("chinese", "english", "canonical", "written_out", "uses"))


async def list_segments(tocsin: Tocsin, _: Options, screen: Screen) -> None:
    """The saved rules."""
    await screen.table(tocsin.segments.list(), ("id", "name", "rule"))


async def create_segment(tocsin: Tocsin, o: Options, screen: Screen) -> None:
    """Save a rule."""
    made = await tocsin.segments.create(o.name, read_text(o.rule))
    screen.facts(made, ("id", "name", "canonical"))


async def lint_text(tocsin: Tocsin, o: Options, screen: Screen) -> int | None:
    """What lint says; bad if a finding blocks."""
    found = await tocsin.templates.lint(read_text(o.text), message_class=o.message_class)
    placed = (dict(finding) | {"position": finding["at"]} for finding in found["lint"])
    shown = found["lint"] if screen.as_json else placed
    await screen.table(each(shown), ("rule", "level", "position", "message"))
    return BAD if any(finding["level"] == "block" for finding in found["lint"]) else None


async def list_templates(tocsin: Tocsin, _: Options, screen: Screen) -> None:
    """The templates."""
    names = ("id", "name", "class", "version", "parts", "approved_by", "withdrawn")
    await screen.table(tocsin.templates.list(), names)


async def create_template(tocsin: Tocsin, o: Options, screen: Screen) -> None:
    """Keep a text."""
    made = await tocsin.templates.create(
        o.name,
        read_text(o.text),
        message_class=o.message_class,
        topic=o.topic,
        language=o.language,
    )
    screen.facts(made, TEMPLATE)


async def approve_template(tocsin: Tocsin, o: Options, screen: Screen) -> None:
    """Approve a text for direct sends."""
    made = await tocsin.templates.approve(o.id, o.version, acknowledged=o.acknowledged)
    screen.facts(made, (*TEMPLATE, "approved_by"))


async def list_campaigns(tocsin: Tocsin, o: Options, screen: Screen) -> None:
    """The campaigns."""
    names = ("id", "name", "state", "priority", "next_fire_at")
    await screen.table(tocsin.campaigns.list(state=o.state), names)


async def show_campaign(tocsin: Tocsin, o: Options, screen: Screen) -> None:
    """A campaign."""
    screen.facts(await tocsin.campaigns.get(o.id), (*CAMPAIGN, "moves", "acts"))


async def preview_campaign(tocsin: Tocsin, o: Options, screen: Screen) -> None:
    """Whom a campaign would reach, and what they would read."""
    found = _with_towns(await tocsin.campaigns.preview(o.id), screen)
    names = ("target", "parts", "text", "by_area", "by_carrier", "excluded", "lint", "estimate")
    screen.facts(found, names)
    screen.text(fires.forecast_lines(found["forecast"]))
    screen.text(fires.loss_lines(found["forecast"]))


async def submit_campaign(tocsin: Tocsin, o: Options, screen: Screen) -> None:
    """Put a draft before an approver."""
    submitted: Mapping[str, Any] = await tocsin.campaigns.submit(o.id)
    screen.facts(submitted, CAMPAIGN)
    screen.text(fires.loss_lines(submitted["forecast"]))


async def review_campaign(tocsin: Tocsin, o: Options, screen: Screen) -> None:
    """What an approval would bind."""
    campaign, lines = await review.read(tocsin, o.id)
    if screen.as_json:
        screen.facts(campaign, ())
    screen.text(lines)


async def approve_campaign(tocsin: Tocsin, o: Options, screen: Screen) -> int | None:
    """Approve what somebody else submitted, once it has been shown; bad if it is not wanted."""
    if not await review.ask(tocsin, o, screen):
        screen.text([say("Nothing is approved.", "未批准。")])
        return BAD
    done = await tocsin.campaigns.approve(
        o.id, reason=o.reason, acknowledged=o.acknowledged, missed=o.missed
    )
    screen.facts(done, CAMPAIGN)
    screen.text(fires.decided_lines(done))
    return None


def steer(name: str, *options: str) -> Act:
    """A step of a campaign's life that takes a reason, and these options if they are given."""

    async def act(tocsin: Tocsin, o: Options, screen: Screen) -> None:
        given = {one: value for one in options if (value := getattr(o, one)) is not None}
        campaign = await getattr(tocsin.campaigns, name)(o.id, o.reason, **given)
        screen.facts(campaign, CAMPAIGN)
        screen.text(fires.decided_lines(campaign))

    return act


async def list_runs(tocsin: Tocsin, o: Options, screen: Screen) -> None:
    """The runs of a campaign."""
    names = ("id", "kind", "mode", "state", "target", "fire_at", "finished_at")
    await screen.table(tocsin.campaigns.runs(o.id), names)


async def show_report(tocsin: Tocsin, o: Options, screen: Screen) -> None:
    """What a run amounts to, now or until it is sent."""
    if not o.follow:
        screen.facts(await tocsin.runs.report(o.id), REPORT)
        return
    async for report in tocsin.runs.follow(o.id, every=o.every):
        if screen.as_json or report["state"] in {"sent", "cancelled"}:
            screen.facts(report, REPORT)
        else:
            screen.text([f"{report['state']}  {cell(report['states'])}"])


async def list_messages(tocsin: Tocsin, o: Options, screen: Screen) -> None:
    """The ledger of a run."""
    names = ("id", "phone", "state", "reason", "code", "carrier", "submitted_at", "final_at")
    await screen.table(tocsin.runs.messages(o.id, state=o.state), names)


async def list_doubts(tocsin: Tocsin, o: Options, screen: Screen) -> None:
    """What is in doubt."""
    names = ("id", "phone", "channel", "attempt", "marked_at", "may_decide_at")
    await screen.table(tocsin.uncertain.list(run_id=o.run_id, channel_id=o.channel), names)


async def decide_doubts(tocsin: Tocsin, o: Options, screen: Screen) -> int | None:
    """Say what became of texts in doubt; bad if none was decided."""
    decided = await tocsin.uncertain.decide(
        o.decision, o.reason, ids=o.id, run_id=o.run_id, channel_id=o.channel
    )
    screen.facts(decided, ("decision_id", "decided", "skipped", "items"))
    return None if decided["decided"] else BAD


async def list_suppressions(tocsin: Tocsin, o: Options, screen: Screen) -> None:
    """The suppressions: all, or those of a number from standard input."""
    phone = read_text("-") if o.phone else None
    names = ("id", "reason", "classes", "department", "note", "created_at", "expires_at")
    await screen.table(tocsin.suppressions.list(phone=phone), names)


async def add_suppressions(tocsin: Tocsin, o: Options, screen: Screen) -> None:
    """Stop texts to numbers from standard input, one a line."""
    phones = [line.strip() for line in read_text("-").splitlines() if line.strip()]
    names = ("reason", "classes", "note", "expires_at", "department_id")
    made = await tocsin.suppressions.add(phones, **{name: getattr(o, name) for name in names})
    if made["waiting"] is not None:
        screen.facts(made["waiting"], ("id", "state", "reason", "numbers"))
        return
    await screen.table(each(made["items"]), ("id", "phone", "reason", "classes", "is_new"))


async def import_suppressions(tocsin: Tocsin, o: Options, screen: Screen) -> None:
    """Stop texts to the numbers of a file."""
    given = {"reason": o.reason, "note": o.note, "department_id": o.department_id}
    fields = {name: value for name, value in given.items() if value}
    found = await tocsin.give("/suppressions/imports", o.file, fields)
    screen.facts(found, ("numbers", "added", "known", "rejected", "rows", "waiting"))


async def import_cases(tocsin: Tocsin, o: Options, screen: Screen) -> None:
    """Take case figures from a file."""
    given = {"weeks": o.weeks, "encoding": o.encoding}
    fields = {name: value for name, value in given.items() if value}
    fields |= {name: "true" for name in ("dry_run", "accept_partial") if getattr(o, name)}
    found = await tocsin.give("/cases/imports", o.file, fields)
    screen.facts(found, ("id", "state", "weeks", "replaced", "report"))


async def import_households(tocsin: Tocsin, o: Options, screen: Screen) -> None:
    """Write down the households of a file."""
    fields = {"encoding": o.encoding} if o.encoding else {}
    fields |= {name: "true" for name in ("dry_run", "accept_partial") if getattr(o, name)}
    path = f"/visit-rounds/{o.round_id}/visits/imports"
    found = await tocsin.give(path, o.file, fields)
    screen.facts(found, ("rows", "results", "rejected", "skipped", "rejects"))


async def import_groups(tocsin: Tocsin, o: Options, screen: Screen) -> None:
    """Register the groups of a file."""
    fields = {"encoding": o.encoding} if o.encoding else {}
    fields |= {name: "true" for name in ("dry_run", "accept_partial") if getattr(o, name)}
    found = await tocsin.give("/groups/imports", o.file, fields)
    screen.facts(found, ("rows", "rejected", "skipped", "rejects"))


async def send_picture(tocsin: Tocsin, o: Options, screen: Screen) -> None:
    """Send a picture for a report."""
    fields = {"duty_id": o.duty} if o.duty else {}
    found = await tocsin.give("/evidence", o.file, fields)
    screen.facts(found, ("id", "width", "height", "taken_in_week", "seen_before"))


async def read_statement(tocsin: Tocsin, o: Options, screen: Screen) -> None:
    """Settle texts in doubt by a carrier's own statement."""
    given = {"channel_id": str(o.channel), "reason": o.reason, "encoding": o.encoding}
    fields = {name: value for name, value in given.items() if value}
    found = await tocsin.give("/uncertain/statement", o.file, fields)
    screen.facts(found, ("decision_id", "lines", "settled", "rows"))


async def read_results(tocsin: Tocsin, o: Options, screen: Screen) -> int | None:
    """Take the list as the carrier gives it back; bad if lines give no result."""
    fields = {name: value for name in ("reason", "encoding") if (value := getattr(o, name))}
    found = await tocsin.give(f"/list-files/{o.id}/results", o.file, fields)
    if screen.as_json:
        screen.facts(found, ())
    else:
        screen.facts(found, ("lines", "states"))
        await screen.table(each(found["runs"]), ("run_id", "campaign", "texts", "open"))
        rows = [dict(row) | {"plain": said(row["plain"])} for row in found["rows"]]
        await screen.table(each(rows), ("row", "result", "plain"))
    return BAD if found["rows"] else None


async def send_messages(tocsin: Tocsin, o: Options, screen: Screen) -> int | None:
    """Send to numbers from standard input, one a line; bad if one is refused."""
    phones = [line.strip() for line in read_text("-").splitlines() if line.strip()]
    text = read_text(o.text) if o.text else None
    sent = await tocsin.messages.send(phones, template_id=o.template, text=text)
    screen.facts(sent, ("run_id", "accepted", "rejected", "ids"))
    return BAD if sent["rejected"] else None


async def lift_suppression(tocsin: Tocsin, o: Options, _: Screen) -> None:
    """Let a number be sent to again."""
    await tocsin.suppressions.lift(o.id)
