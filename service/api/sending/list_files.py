"""Lists for a carrier that sends by itself: drawn, fetched, and what the carrier says of them."""

from collections.abc import AsyncIterator
from typing import Literal
from uuid import UUID

from pydantic import Field

from service.api.http.call import Call, Download
from service.api.http.paging import PageQuery, cut
from service.api.http.problems import TooLarge
from service.api.http.schema import Body, Instant, Int, Line, OptionalLine, Out, Page, PlainOut
from service.api.http.upload import Upload, in_batches
from service.audience.contacts.contact_store import subscriber_base
from service.audience.numbers.prefix import packaged_prefixes
from service.channels.config import store as channels
from service.delivery.list_files import archive, list_file_store, results_store
from service.delivery.list_files.list_file import draw, load_list, need_carrier
from service.delivery.list_files.list_file_store import ListFile
from service.delivery.list_files.result_lines import LineResult, read_results
from service.delivery.list_files.results import ToldCounts, import_results, take_counts
from service.envelope import MEDIA_TYPE
from service.errors import NotFound
from service.queue import Job
from service.words.phrase import phrase

RESULTS_OCTETS = 64 * 1024 * 1024


class DrawBody(Body):
    """Of which channel a list is drawn."""

    channel_id: Int = Field(ge=0, le=32767)
    reason: OptionalLine = ""


class ListFileOut(Out):
    """A list of a channel. Texts that it holds are `submitted` until the carrier says more."""

    id: UUID
    channel_id: int
    channel: str
    carrier: str
    state: Literal["drawing", "closing", "ready", "empty", "lapsed"] = Field(
        description="closing: no more texts come to stand on it. empty: nothing could be handed"
        " off. lapsed: nobody fetched it in 24 hours, so its texts never left."
    )
    drawn_by: UUID
    drawn_at: Instant
    ready_at: Instant | None
    lines: int = Field(description="How many texts stand on it.")
    fetched_at: Instant | None = Field(description="When its archive was fetched last.")
    fetched_by: UUID | None
    fetches: int


class ListedRunOut(Out):
    """A run with texts on a list. open: those without a result."""

    run_id: UUID
    campaign: str | None
    texts: int
    open: int


class GivenResultsOut(Out):
    """What the carrier gave back: a file (its lines by result), or counts of a run."""

    id: UUID
    run_id: UUID | None
    given_by: UUID
    given_at: Instant
    file_sha256: str | None
    counts: dict[str, int]


class ListFileDetail(ListFileOut):
    """A list with its runs and results.

    public_key: checks manifest.sig; write it down elsewhere.
    """

    runs: list[ListedRunOut]
    results: list[GivenResultsOut]
    public_key: str


class ResultsForm(Body):
    """What is said of a file with the columns 编号, 手机号码, 状态, 原因, 时间."""

    reason: Line = Field(default="results", description="Where it comes from; it is recorded.")
    encoding: Line | None = Field(default=None, description="Of the file; default: found out.")


class UnreadRowOut(Out):
    """A line that gives no result, by its place in the file."""

    row: int
    result: LineResult
    plain: PlainOut


class ResultsOut(Out):
    """What became of a file of results. Its receipts are in the ledger a moment later."""

    results_id: UUID
    lines: dict[LineResult, int] = Field(description="Lines by what became of them.")
    states: dict[str, int] = Field(description="Texts by the state that they get.")
    rows: list[UnreadRowOut] = Field(description="Every line that gives no result.")
    runs: list[ListedRunOut]


class FetchBody(Body):
    """Why you fetch it; it is recorded."""

    reason: OptionalLine = ""


class CountsBody(Body):
    """What the carrier says of a run of the list in counts alone; the ledger stays as it is."""

    run_id: UUID
    delivered: Int = Field(ge=0)
    undelivered: Int = Field(ge=0)
    reason: OptionalLine = ""


async def list_list_files(call: Call, query: PageQuery) -> Page[ListFileOut]:
    """List the lists of your carrier, from new to old; whoever sees all departments sees all."""
    carrier = None
    if call.user.scope is not None:
        carrier = await subscriber_base(call.conn, call.user.scope) or ""
    found = await list_file_store.list_lists(call.conn, carrier, query.before, query.wanted)
    return cut(Page[ListFileOut], found, query)


async def get_list_file(call: Call, list_id: UUID) -> ListFileDetail:
    """Show a list, its runs, and what the carrier gave back."""
    return await _detail(call, await _visible(call, list_id))


async def draw_list(call: Call, body: DrawBody) -> ListFileDetail:
    """Draw a list of what waits on a channel now; it is ready some seconds after the last text."""
    by = call.by(body.reason or "drawn")
    made = await draw(call.conn, call.runtime.keyring, call.user, body.channel_id, by)
    call.after_commit(Job.DRAIN_CHANNEL, made.channel_id)
    return await _detail(call, made)


async def fetch_archive(call: Call, list_id: UUID, body: FetchBody) -> Download:
    """Fetch the archive of a list, encrypted to the carrier's certificate; send a list once.

    It holds the numbers of the carrier's own subscribers, so only its own people fetch it, within
    24 hours.
    """
    found = await _visible(call, list_id, lock=True)
    await need_carrier(call.conn, call.user, found.carrier)
    channel = await channels.get_channel(call.conn, call.runtime.keyring, found.channel_id)
    sealed = await archive.seal_archive(
        call.conn,
        call.runtime.keyring,
        found,
        channel,
        call.by(body.reason or "fetched"),
        call.runtime.settings.zone,
    )
    call.note(sha256=sealed.sha256, lines=sealed.lines)

    async def whole() -> AsyncIterator[bytes]:
        yield sealed.data

    return Download(MEDIA_TYPE, f"list-{list_id}.p7m", whole())


async def read_results_file(
    call: Call, list_id: UUID, body: ResultsForm, file: Upload
) -> ResultsOut:
    """Take the list as the carrier gives it back, with the state of each text.

    Every line that gives no result is named.
    """
    found = await _visible(call, list_id, lock=True)
    await need_carrier(call.conn, call.user, found.carrier)
    if file.size > RESULTS_OCTETS:
        raise TooLarge(
            phrase(
                "the file is larger than {results_octets:,} octets; split it",
                results_octets=RESULTS_OCTETS,
            )
        )
    report = await import_results(
        call.conn,
        call.runtime.keyring,
        found,
        in_batches(
            file, lambda chunks: read_results(chunks, packaged_prefixes(), encoding=body.encoding)
        ),
        file.sha256,
        call.by(body.reason),
    )
    call.after_commit(Job.FOLD_RECEIPTS, found.channel_id)
    return ResultsOut.model_validate(
        {
            "results_id": report.results_id,
            "lines": {result: report.lines[result] for result in LineResult},
            "states": dict(report.states),
            "rows": [
                {"row": line.row, "result": line.result, "plain": line.why}
                for line in report.unread
            ],
            "runs": await _runs(call, found),
        }
    )


async def give_counts(call: Call, list_id: UUID, body: CountsBody) -> ListFileDetail:
    """Record what the carrier says of a run of the list in counts alone."""
    found = await _visible(call, list_id, lock=True)
    await need_carrier(call.conn, call.user, found.carrier)
    counts = ToldCounts(body.delivered, body.undelivered)
    await take_counts(call.conn, found, body.run_id, counts, call.by(body.reason or "counts"))
    return await _detail(call, found)


async def _visible(call: Call, list_id: UUID, *, lock: bool = False) -> ListFile:
    found = await load_list(call.conn, list_id, lock=lock)
    scope = call.user.scope
    if scope is not None and await subscriber_base(call.conn, scope) != found.carrier:
        raise NotFound(phrase("there is no list {list_id}", list_id=list_id))
    return found


async def _runs(call: Call, found: ListFile) -> list[ListedRunOut]:
    runs = await list_file_store.runs_of(call.conn, found.id)
    return [ListedRunOut.model_validate(run._asdict()) for run in runs]


async def _detail(call: Call, found: ListFile) -> ListFileDetail:
    shown = ListFileOut.model_validate(found)
    results = await results_store.list_results(call.conn, found.id)
    return ListFileDetail(
        **shown.model_dump(),
        runs=await _runs(call, found),
        results=[GivenResultsOut.model_validate(one._asdict()) for one in results],
        public_key=call.runtime.keyring.public_key(archive.PURPOSE).hex(),
    )
