"""Contact files: sent, watched while they are read, and what became of each row."""

from collections.abc import AsyncIterator, Sequence

from service.accounts.people.model import Right
from service.api.audience import import_list, imports, rosters
from service.api.audience.import_list import ImportsQuery, RejectRuleOut, RejectsQuery
from service.api.audience.imports import ImportForm, ImportOut
from service.api.http.call import Download
from service.api.http.downloads import MadeFile
from service.api.http.paging import MAX_LIMIT, PageQuery
from service.api.http.server import EXCHANGE
from service.audience.imports.rejects import csv_line
from service.console.asking import Desk
from service.console.forms import body_of
from service.console.people import words
from service.console.people.held_plans import held_since
from service.console.people.import_report import ImportReport, report_of
from service.console.render import Gone, Shown
from service.errors import Forbidden, Invalid
from service.words.phrase import phrase

IMPORTS = "/people/imports"
SAMPLE = (
    ("\ufeff# 只有“手机号”必填；其余各列可以留空或删去。下面两行是例子，填好后删去。",),
    ("手机号", "姓名", "性别", "年龄段", "乡镇", "村", "身份", "单位", "学校", "年级", "运营商"),
    (
        "19790000001",
        "例一",
        "女",
        "41-59",
        "旌阳镇",
        "",
        "财务人员",
        "例子公司",
        "",
        "",
        "中国移动",
    ),
    ("19790000002", "例二", "男", "26-40", "三溪镇", "", "家长", "", "例子小学", "三年级", ""),
)
"""The columns that an import reads, with two persons whose numbers nobody can have."""
OWN = ("phone_column", "file")
"""Fields of the form that are no members of the operation's body."""


async def show_imports(desk: Desk) -> Shown:
    """All imports that you see, newest first."""
    query = ImportsQuery(cursor=desk.request.query.get("from"))
    found = await desk.get(import_list.list_imports, query=query)
    return Shown(
        "people/imports.html",
        {
            "imports": found.items,
            "next": found.next_cursor,
            "errors": words.FAILED,
            "may_import": desk.may(Right.IMPORT),
        },
    )


async def show_new_import(desk: Desk) -> Shown:
    """The form for a contact file."""
    known = await desk.get(rosters.list_rosters, query=PageQuery(limit=MAX_LIMIT))
    own = [one.name for one in known.items if one.department_id == desk.user.department_id]
    chosen = desk.request.query.get("list", "")
    return Shown(
        "people/import_new.html",
        {
            "rosters": own,
            "chosen": chosen if chosen in own else "",
            "mode": "replace" if desk.request.query.get("mode") == "replace" else "add",
            "bases": words.BASES,
            "ways": words.CONSENT_WAYS,
        },
    )


async def send_import(desk: Desk) -> Gone:
    """Send a contact file; a worker reads it."""
    if desk.upload is None or not desk.upload.size:
        raise Invalid(
            phrase("no file was chosen"), fields={"file": phrase("choose a file of yours")}
        )
    column = desk.typed("phone_column")
    given = {"columns": {"phone": column}} if column else {}
    body = body_of(ImportForm, desk.form, but=OWN, given=given)
    made = await desk.act(imports.create_import, body=body, file=desk.upload)
    return Gone(f"{IMPORTS}/{made.id}")


async def show_import(desk: Desk) -> Shown:
    """How far an import is, and then what became of each row."""
    found = await desk.get(imports.get_import, import_id=desk.uuid("import_id"))
    return Shown("people/import.html", await _told(desk, found))


async def show_import_progress(desk: Desk) -> Shown | None:
    """The part of the page that changes while a file is read, and when it has been read."""
    found = await desk.get(imports.get_import, import_id=desk.uuid("import_id"))
    if _waits(found) and desk.request.query.get("read") == str(found.rows_read):
        return None
    return Shown("people/_import.html", await _told(desk, found))


def _waits(found: ImportOut) -> bool:
    """Whether something will become of it by itself."""
    return found.state == "reading" or (found.undo is not None and found.undo.state == "waiting")


async def _told(desk: Desk, found: ImportOut) -> dict[str, object]:
    report = report_of(found)
    stands = found.state == "done" and not found.dry_run and found.undone_at is None
    is_own = found.department_id == desk.user.department_id
    return {
        "imported": found,
        "report": report,
        "waits": _waits(found),
        "basis": words.named(words.BASES, found.basis),
        "why": words.named(words.FAILED, (found.report or {}).get("error", "")),
        "stays": words.named(words.UNDO_REFUSED, (found.undo and found.undo.code) or ""),
        "rules": await _rules(desk, found, report),
        "called": words.REJECTED,
        "is_own": is_own,
        "may_undo": stands and is_own and not _waits(found) and desk.may(Right.IMPORT),
        "may_import": is_own and desk.may(Right.IMPORT),
        "held": await held_since(desk, found.department_id, found.finished_at if stands else None),
    }


async def _rules(
    desk: Desk, found: ImportOut, report: ImportReport | None
) -> Sequence[RejectRuleOut]:
    """The rejected rows by rule with an example of each; none of another's subscribers."""
    if report is None or not report.rows["rejected"]:
        return ()
    try:
        rules = await desk.get(
            import_list.list_reject_rules, import_id=found.id, query=RejectsQuery(limit=1)
        )
    except Forbidden:
        return ()
    return rules.items


async def ask_undo(desk: Desk) -> Shown:
    """Whether to take an import back."""
    found = await desk.get(imports.get_import, import_id=desk.uuid("import_id"))
    return Shown("people/import_undo.html", {"imported": found, "report": report_of(found)})


async def undo_import(desk: Desk) -> Gone:
    """Take an import back: the list will be as if it had never come."""
    import_id = desk.uuid("import_id")
    await desk.act(imports.undo_import, import_id=import_id)
    return Gone(f"{IMPORTS}/{import_id}", phrase("The import is being taken back."))


async def take_rejects(desk: Desk) -> MadeFile:
    """The refused rows as a file, to be mended and imported."""
    return await desk.take(imports.get_rejects, import_id=desk.uuid("import_id"))


async def take_sample(desk: Desk) -> MadeFile:
    """A small file with the columns that an import reads, to be filled in."""
    download = Download("text/csv", "名单样表.csv", _sample(), "sample.csv")
    return await desk.request.config_dict[EXCHANGE].downloads.make(download)


async def _sample() -> AsyncIterator[str]:
    for line in SAMPLE:
        yield csv_line(line)
