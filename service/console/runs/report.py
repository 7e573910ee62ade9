"""What a run amounts to: by state, reason, carrier, town and role; as a file, as evidence."""

from collections.abc import Mapping

from service.accounts.people.model import Right
from service.api.http.downloads import MadeFile
from service.api.sending import inbound, run_export, runs
from service.api.sending.run_export import ReportExportQuery
from service.api.sending.runs import GroupOut, ReportOut
from service.console import words
from service.console.account.files import files_about
from service.console.asking import Desk
from service.console.duty.replies import KINDS
from service.console.render import Shown
from service.console.runs.pages import shares, told_of
from service.words.phrase import phrase


async def show_report(desk: Desk) -> Shown:
    """The report of a run in words."""
    run = await desk.get(runs.get_run, run_id=desk.uuid("run_id"))
    report = await desk.get(runs.get_report, run_id=run.id)
    told = await told_of(desk, run, "report")
    back = None
    if told["may_read"]:
        back = await desk.get(inbound.count_run_inbound, run_id=run.id)
    return Shown(
        "runs/report.html",
        {
            **told,
            "report": report,
            "shares": shares(desk, report.states),
            "groups": _groups(desk, report),
            "reasons": _reasons(desk, report.by_reason),
            "excluded": _reasons(desk, report.excluded),
            "back": back,
            "kinds": KINDS,
            "may_prove": desk.may(Right.AUDIT) and desk.user.sees(run.department_id),
            **await files_about(desk, str(run.id)),
        },
    )


def _reasons(desk: Desk, counts: Mapping[str, int]) -> list[tuple[str, int]]:
    found = [(words.reason_word(code, desk.language), count) for code, count in counts.items()]
    return sorted(found, key=lambda one: -one[1])


def _groups(desk: Desk, report: ReportOut) -> list[tuple[str, list[tuple[str, GroupOut]]]]:
    """The figures of each carrier, town and role, the worst reached town first."""
    say = desk.language.say
    towns: list[tuple[str, GroupOut]] = [
        (group.area_name or say(phrase("place not known")), group)
        for group in report.by_area.values()
    ]
    towns.sort(key=lambda one: one[1].reached / one[1].target if one[1].target else 1)
    carriers = [(words.carrier_word(c, desk.language), g) for c, g in report.by_carrier.items()]
    roles = [(words.role_word(r, desk.language), g) for r, g in report.by_role.items()]
    return [
        (say(phrase("By carrier")), carriers),
        (say(phrase("By town, the worst reached first")), towns),
        (say(phrase("By role")), roles),
    ]


async def take_file(desk: Desk) -> MadeFile:
    """The report as CSV for Excel, in the reader's language."""
    query = ReportExportQuery.model_validate({"language": desk.language.code})
    return await desk.take(run_export.export_run_report, run_id=desk.uuid("run_id"), query=query)


async def take_evidence(desk: Desk) -> MadeFile:
    """The signed evidence of a run."""
    return await desk.take(runs.get_evidence, run_id=desk.uuid("run_id"))
