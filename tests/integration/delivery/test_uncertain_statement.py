"""A carrier's statement: how it is read, what a line settles, what it leaves to a person."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from service.accounts.people.model import By
from service.audience.numbers.prefix import packaged_prefixes
from service.delivery.uncertain import statement_import
from service.delivery.uncertain.statement import (
    EARLY,
    Result,
    StatementLine,
    Unreadable,
    read_instant,
    read_lines,
)
from service.delivery.uncertain.statement_import import Statement, StatementReport, import_statement
from service.errors import FileRefused, Invalid, NotFound
from service.ledger.states import MOVES, MessageState
from service.storage.postgres import transaction
from tests.harness.uncertain_run import UncertainRun, start_uncertain_run

Begin = Callable[..., Awaitable[UncertainRun]]
WINDOW = timedelta(minutes=30)
MINUTE = timedelta(minutes=1)
HEADER = "手机号码,提交时间,状态\n"


def read(content: str | bytes, **more: Any) -> list[StatementLine | Unreadable]:
    data = content if isinstance(content, bytes) else content.encode()
    return list(read_lines(lambda: [data[:7], data[7:]], packaged_prefixes(), **more))


# ---- reading


@pytest.mark.parametrize(
    "header",
    [
        "手机号码,提交时间,状态",
        "序号,接收号码,手机,发送时间,短信状态,备注",
        "mobile,submit_time,status",
        "批次,发送日期,电话,状态报告(说明),结果*",
    ],
)
def test_headers_are_read_as_people_write_them(header: str) -> None:
    cells = {"手机": "19790000001", "mobile": "19790000001"}
    cells |= {"手机号码": "19790000001", "电话": "19790000001", "接收号码": "x", "序号": "1"}
    cells |= dict.fromkeys(["提交时间", "发送时间", "submit_time", "发送日期"], "2027-01-12 09:30")
    cells |= dict.fromkeys(["状态", "短信状态", "status", "状态报告(说明)"], "DELIVRD")
    row = ",".join(cells.get(name, "") for name in header.split(","))
    (line,) = read(f"{header}\n{row}\n")
    assert isinstance(line, StatementLine), line
    assert line == StatementLine(
        2, "+8619790000001", datetime(2027, 1, 12, 1, 30, tzinfo=UTC), "delivered", "DELIVRD"
    )


@pytest.mark.parametrize(
    ("cell", "instant"),
    [
        ("2027-01-12 09:30:05", datetime(2027, 1, 12, 1, 30, 5, tzinfo=UTC)),
        ("2027/1/12 9:30", datetime(2027, 1, 12, 1, 30, tzinfo=UTC)),
        ("2027年1月12日 9时30分5秒", datetime(2027, 1, 12, 1, 30, 5, tzinfo=UTC)),
        ("2027-01-12T09:30:05.123", datetime(2027, 1, 12, 1, 30, 5, tzinfo=UTC)),
        ("2027-01-12T01:30:05Z", datetime(2027, 1, 12, 1, 30, 5, tzinfo=UTC)),
        ("2027-01-12T09:30:05+08:00", datetime(2027, 1, 12, 1, 30, 5, tzinfo=UTC)),
        ("2027-01-11 20:30:05-0500", datetime(2027, 1, 12, 1, 30, 5, tzinfo=UTC)),
        ("20270112093005", datetime(2027, 1, 12, 1, 30, 5, tzinfo=UTC)),
        ("２０２７－０１－１２　０９：３０", datetime(2027, 1, 12, 1, 30, tzinfo=UTC)),
        ("2027-02-30 09:30", None),
        ("2027-01-12 25:00", None),
        ("2027-01-12T09:30+99:99", None),
        ("2027-01-12", None),
        ("昨天", None),
        ("", None),
        ("9" * 5_000, None),
    ],
)
def test_times_are_read_as_people_write_them(cell: str, instant: datetime | None) -> None:
    assert read_instant(cell) == instant


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("DELIVRD", "delivered"),
        ("成功", "delivered"),
        ("发送 成功", "delivered"),
        ("0", "delivered"),
        ("UNDELIV", "undelivered"),
        ("发送失败", "undelivered"),
        ("EXPIRED", "expired"),
        ("REJECTD", "rejected"),
        ("提交成功", "submitted"),
        ("ACCEPTD", "submitted"),
        ("未知", ""),
    ],
)
def test_statuses_are_read_as_carriers_write_them(status: str, state: str) -> None:
    (line,) = read(f"{HEADER}19790000001,2027-01-12 09:30,{status}\n")
    assert isinstance(line, StatementLine)
    assert line.state == state


def test_what_cannot_be_read_is_named_by_its_row_and_never_by_its_number() -> None:
    lines = read(
        HEADER
        + "12,2027-01-12 09:30,成功\n"
        + "\n"
        + "19790000001,gestern,成功\n"
        + "19790000001,2027-01-12 09:30,vielleicht\n"
        + "19790000001、19790000002,2027-01-12 09:30,成功\n"
        + "19790000001\n"
    )
    assert [line.row for line in lines] == [2, 4, 5, 6, 7]
    assert all(isinstance(line, Unreadable) for line in lines)
    assert "1979" not in str(lines)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("", "empty_file"),
        ("时间,状态\n2027,1\n", "no_phone_column"),
        ("手机号,状态\n19790000001,成功\n", "no_time_column"),
        ("手机号,时间\n19790000001,2027-01-12 09:30\n", "no_status_column"),
        (b"PK\x03\x04", "unsupported_format"),
    ],
)
def test_a_file_that_is_no_statement_is_refused(content: str | bytes, code: str) -> None:
    with pytest.raises(FileRefused) as refused:
        read(content)
    assert refused.value.code == code


def test_a_statement_in_gb18030_is_read_and_another_encoding_is_refused() -> None:
    content = f"{HEADER}19790000001,2027-01-12 09:30,成功\n".encode("gb18030")
    assert isinstance(read(content)[0], StatementLine)
    with pytest.raises(Invalid):
        read(content, encoding="koi8-r")


def test_a_statement_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.delivery.uncertain.statement.MAX_LINES", 2)
    line = "19790000001,2027-01-12 09:30,成功\n"
    assert len(read(HEADER + 2 * line)) == 2
    with pytest.raises(FileRefused) as refused:
        read(HEADER + 3 * line)
    assert refused.value.code == "too_many_rows"


# ---- settling


@pytest.fixture
def begin(pool: Any, keyring: Any, now: Any) -> Begin:
    async def start(people: int = 4, **of_run: Any) -> UncertainRun:
        return await start_uncertain_run(pool, keyring, now, people, **of_run)

    return start


async def told(
    on: UncertainRun, *lines: tuple[int, datetime, str], size: int = 2, **more: Any
) -> StatementReport:
    """A statement of the channel: (message, time, state) a line, in batches."""
    items: list[StatementLine | Unreadable] = []
    for row, (no, at, state) in enumerate(lines, 2):
        items.append(StatementLine(row, await on.phone(no), at, state, state.upper()))
    return await give(on, items, size=size, **more)


async def give(
    on: UncertainRun, items: Sequence[StatementLine | Unreadable], *, size: int = 2, **more: Any
) -> StatementReport:
    async def batches() -> AsyncIterator[Sequence[StatementLine | Unreadable]]:
        for at in range(0, len(items), size):
            yield items[at : at + size]

    statement = Statement(more.get("channel", on.on.channel.id), "5e", WINDOW, more.get("scope"))
    by = By(on.on.scene.operator, "January, by mail", on.later)
    async with transaction(on.pool) as conn:
        return await import_statement(conn, on.on.keyring, statement, batches(), by)


@pytest.mark.parametrize("state", ["delivered", "undelivered", "expired", "rejected"])
async def test_a_line_settles_the_one_text_that_it_fits(begin: Begin, state: str) -> None:
    on = await begin()
    await on.make_uncertain(1, 2)
    report = await told(on, (1, on.on.now + MINUTE, state))
    assert report.lines == {Result.SETTLED: 1, Result.UNKNOWN: 0}
    assert report.settled == {state: 1}
    assert MessageState(state) in MOVES[MessageState.UNCERTAIN]
    row = await on.row(1)
    assert (row["state"], row["reason"], row["code"]) == (state, "statement", state.upper())
    assert (await on.row(2))["state"] == "uncertain"
    noted = await on.pool.fetchrow(
        "SELECT decision, reason, decided_by, channel_id, file_sha256, counts->>'settled' "
        "FROM doubt_decisions WHERE id = $1",
        report.decision_id,
    )
    assert noted is not None
    assert tuple(noted) == (
        "statement", "January, by mail", on.on.scene.operator, on.on.channel.id, "5e", "1",
    )  # fmt: skip
    await on.check()


async def test_what_the_carrier_took_waits_for_its_receipt_from_then_on(begin: Begin) -> None:
    on = await begin()
    await on.make_uncertain(1)
    await told(on, (1, on.on.now, "submitted"))
    assert MessageState.SUBMITTED in MOVES[MessageState.UNCERTAIN]
    row = await on.row(1)
    assert (row["state"], row["submitted_at"], row["final_at"]) == ("submitted", on.on.now, None)
    await on.receive(b"x", 1)
    await on.fold()
    await on.sweep()
    await on.fold()
    assert (await on.row(1))["state"] == "delivered"
    await on.check()


@pytest.mark.parametrize(
    ("after", "result"),
    [
        (-EARLY, Result.SETTLED),
        (-EARLY - timedelta(seconds=1), Result.UNKNOWN),
        (WINDOW, Result.SETTLED),
        (WINDOW + timedelta(seconds=1), Result.UNKNOWN),
    ],
)
async def test_the_carriers_time_must_fit(begin: Begin, after: timedelta, result: Result) -> None:
    on = await begin()
    await on.make_uncertain(1)
    report = await told(on, (1, on.on.now + after, "delivered"))
    assert report.lines[result] == 1
    assert (await on.on.state(1) == "delivered") == (result is Result.SETTLED)


async def test_the_same_statement_again_settles_nothing_twice(begin: Begin) -> None:
    on = await begin()
    await on.make_uncertain(1, 2)
    lines = [(1, on.on.now, "delivered"), (2, on.on.now, "undelivered")]
    first = await told(on, *lines)
    before = [await on.row(no) for no in (1, 2)]
    again = await told(on, *lines)
    assert first.lines[Result.SETTLED] == 2
    assert (again.lines[Result.SETTLED], again.lines[Result.ALREADY]) == (0, 2)
    assert [await on.row(no) for no in (1, 2)] == before
    assert await on.pool.fetchval("SELECT count(*) FROM doubts_decided") == 2
    await on.check()


async def test_lines_of_the_parts_of_a_text_settle_it_if_they_agree(begin: Begin) -> None:
    """In different batches, too: all of the file is judged before anything is written."""
    on = await begin()
    await on.make_uncertain(1, 2, parts=2)
    at = on.on.now
    report = await told(
        on,
        (1, at, "delivered"),
        (2, at, "delivered"),
        (1, at + MINUTE, "delivered"),
        (2, at + MINUTE, "undelivered"),
        size=1,
    )
    assert (report.lines[Result.SETTLED], report.lines[Result.AMBIGUOUS]) == (2, 2)
    assert [row for row, *_ in report.listed] == [3, 5]
    assert await on.on.state(1) == "delivered"
    assert await on.on.state(2) == "uncertain"
    await on.check()


async def test_a_line_that_may_speak_of_another_text_settles_neither(begin: Begin) -> None:
    on = await begin(2)
    await on.submit(2, b"two")  # not uncertain, and so nobody's business
    theirs = await on.another()
    await theirs.submit(1, b"one")  # to the same phone, a moment before
    await on.make_uncertain(1)
    report = await told(on, (1, on.on.now, "delivered"), (2, on.on.now, "delivered"))
    assert (report.lines[Result.AMBIGUOUS], report.lines[Result.UNKNOWN]) == (1, 1)
    assert await on.on.state(1) == "uncertain"
    assert await theirs.on.state(1) == "submitted"
    late = on.on.now + timedelta(hours=1)
    await on.pool.execute(
        "UPDATE messages SET marked_at = $2 WHERE run_id = $1 AND no = 1", theirs.on.run, late
    )
    report = await told(on, (1, late, "delivered"), (1, on.on.now, "delivered"))
    assert (report.lines[Result.UNKNOWN], report.lines[Result.SETTLED]) == (1, 1)
    assert await on.on.state(1) == "delivered"


async def test_a_text_that_went_on_to_another_channel_makes_a_line_ambiguous(begin: Begin) -> None:
    on = await begin(1)
    await on.make_uncertain(1)
    other = await on.on.another_run()
    await on.pool.execute(
        "WITH gone AS (UPDATE messages SET channel_id = 99, attempt = 1 WHERE run_id = $1 "
        "RETURNING old.channel_id) "
        "INSERT INTO attempts (run_id, no, attempt, channel_id, state) "
        "SELECT $1, 1, 1, channel_id, 'undelivered' FROM gone",
        other.run,
    )
    report = await told(on, (1, on.on.now, "delivered"))
    assert report.lines[Result.AMBIGUOUS] == 1
    assert await on.on.state(1) == "uncertain"


@pytest.mark.parametrize(
    ("decision", "says", "result"),
    [
        ("delivered", "delivered", Result.ALREADY),
        ("delivered", "undelivered", Result.AMBIGUOUS),
        ("unknown", "delivered", Result.AMBIGUOUS),
        ("resend", "delivered", Result.AMBIGUOUS),
    ],
)
async def test_what_a_person_decided_stays(
    begin: Begin, decision: str, says: str, result: Result
) -> None:
    on = await begin()
    await on.make_uncertain(1)
    await on.allow_resend()
    await on.decide(1, decision=decision)
    before = await on.row(1)
    report = await told(on, (1, on.on.now, says))
    assert report.lines[result] == 1
    assert await on.row(1) == before


async def test_a_status_that_says_nothing_settles_nothing(begin: Begin) -> None:
    on = await begin()
    await on.make_uncertain(1)
    report = await told(on, (1, on.on.now, ""))
    assert report.lines[Result.UNKNOWN] == 1
    assert await on.on.state(1) == "uncertain"


@pytest.mark.attack
async def test_another_departments_texts_are_not_ones_own_to_settle(begin: Begin) -> None:
    on = await begin()
    await on.make_uncertain(1)
    nobody = await on.pool.fetchval("SELECT gen_random_uuid()")
    report = await told(on, (1, on.on.now, "delivered"), scope=nobody)
    assert report.lines[Result.UNKNOWN] == 1
    assert await on.on.state(1) == "uncertain"
    report = await told(on, (1, on.on.now, "delivered"), scope=on.on.scene.department)
    assert report.lines[Result.SETTLED] == 1


async def test_a_statement_of_another_channel_settles_nothing(begin: Begin) -> None:
    on = await begin()
    await on.make_uncertain(1)
    with pytest.raises(NotFound):
        await told(on, (1, on.on.now, "delivered"), channel=999)
    assert await on.on.state(1) == "uncertain"


async def test_an_answer_that_comes_while_the_file_is_read_wins(begin: Begin) -> None:
    on = await begin()
    await on.make_uncertain(1, 2)
    at = on.on.now
    items = [
        StatementLine(row, await on.phone(no), at, "undelivered", "X")
        for row, no in ((2, 1), (3, 2))
    ]

    async def batches() -> AsyncIterator[Sequence[StatementLine | Unreadable]]:
        yield items
        await on.on.record(await on.on.result(1, 1, ref=b"late"))

    statement = Statement(on.on.channel.id, "5e", WINDOW, None)
    by = By(on.on.scene.operator, "r", on.later)
    async with transaction(on.pool) as conn:
        report = await import_statement(conn, on.on.keyring, statement, batches(), by)
    assert (report.lines[Result.ALREADY], report.lines[Result.SETTLED]) == (1, 1)
    assert await on.on.states() == {"submitted": 1, "undelivered": 1, "queued": 2}
    await on.check()


async def test_a_file_that_breaks_off_leaves_everything_as_it_was(begin: Begin) -> None:
    on = await begin()
    await on.make_uncertain(1)
    item = StatementLine(2, await on.phone(1), on.on.now, "delivered", "X")

    async def batches() -> AsyncIterator[Sequence[StatementLine | Unreadable]]:
        yield [item]
        raise FileRefused("line 3: …", code="unsupported_format")

    statement = Statement(on.on.channel.id, "5e", WINDOW, None)
    by = By(on.on.scene.operator, "r", on.later)
    with pytest.raises(FileRefused):
        async with transaction(on.pool) as conn:
            await import_statement(conn, on.on.keyring, statement, batches(), by)
    assert await on.on.state(1) == "uncertain"
    assert await on.pool.fetchval("SELECT count(*) FROM doubt_decisions") == 0


async def test_only_the_first_lines_for_a_person_are_listed_and_all_are_counted(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statement_import, "MAX_LISTED", 3)
    on = await begin()
    report = await give(on, [Unreadable(row, "no number") for row in range(2, 12)])
    assert report.lines[Result.UNREADABLE] == 10
    assert [row for row, *_ in report.listed] == [2, 3, 4]
