"""What a carrier gives back of a list, into the ledger: lines as receipts, or counts of a run.

A file is judged whole before anything is written, and each line that gives nothing is named. Its
results are receipts of the channel, so they take the same way as those of a link: the operator's
words for codes, retries, the same text twice, conflicts. The same file again gives nothing twice.
"""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from service.accounts.people.model import By
from service.channels.contract.gateway import Receipt
from service.crypto import Keyring
from service.delivery.list_files import list_file_store, results_store
from service.delivery.list_files.list_file_store import ListFile
from service.delivery.list_files.result_lines import LineResult, ResultLine, UnreadLine
from service.delivery.list_files.results_store import ListedText
from service.delivery.receipts.store import insert_receipts
from service.errors import Conflict, FileRefused, Invalid
from service.ledger.message_id import MessageKey
from service.storage.postgres import Connection
from service.words.phrase import Sentence, listing, phrase

MOST_NAMED = 10_000
"""A file with more lines that give nothing is refused, since each of them is named."""


@dataclass(slots=True)
class ResultsReport:
    """What became of a file: lines by result, texts by the state that they got, and each line that
    gives nothing with its row and why.
    """

    results_id: UUID | None = None
    lines: Counter[LineResult] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    unread: list[UnreadLine] = field(default_factory=list)

    def name(self, line: UnreadLine) -> None:
        """Count a line that gives nothing, and name it.

        Raises:
            FileRefused: there are too many to name.
        """
        self.lines[line.result] += 1
        self.unread.append(line)
        if len(self.unread) > MOST_NAMED:
            raise FileRefused(
                phrase(
                    "more than {most_named:,} lines give no result of this list, and"
                    " nothing was taken; look whether it is the file of another list",
                    most_named=MOST_NAMED,
                ),
                code="too_many_unread",
            )


class ToldCounts(NamedTuple):
    """What a carrier says of a run in counts alone."""

    delivered: int
    undelivered: int


_CONTRADICTED = Sentence(
    "两行对同一条短信的结果说法不一", "two lines say different things of this text"
)
_SEVERAL = Sentence(
    "本名单有多条短信发给该号码，请保留“编号”一列",
    "several texts of this list went to this number; keep the column 编号",
)
_NO_SUCH_TEXT = Sentence(
    "本名单没有这条短信，编号和手机号码须与原名单一致",
    "this list has no such text; 编号 and 手机号码 must be as they were",
)


class _Said(NamedTuple):
    """What a line says of a text."""

    text: ListedText
    line: ResultLine


def need_fetched(list_file: ListFile) -> None:
    """Refuse results of a list that nobody has fetched.

    Raises:
        Conflict: it is so.
    """
    if list_file.fetched_at is None:
        raise Conflict(
            phrase(
                "nobody has fetched this list, so nothing can have come of it; look at its number"
            ),
            code="list_not_fetched",
        )


async def import_results(
    conn: Connection,
    keyring: Keyring,
    list_file: ListFile,
    batches: AsyncIterator[Sequence[ResultLine | UnreadLine]],
    file_sha256: str,
    by: By,
) -> ResultsReport:
    """Take the lines of a file; they are in the inbox of receipts when the transaction is over.

    Raises:
        Conflict: nobody has fetched the list.
        FileRefused, Invalid: as `read_results`, from `batches`; or too many lines give nothing.
    """
    need_fetched(list_file)
    report = ResultsReport()
    said = await _read_whole(conn, keyring, list_file, batches, report)
    receipts = [_receipt(one) for one in said]
    report.lines[LineResult.RECORDED] = len(receipts)
    report.states.update(receipt.state.value for receipt in receipts)
    await insert_receipts(
        conn, keyring, [(list_file.channel_id, receipt) for receipt in receipts], by.at
    )
    counts = {result.value: report.lines[result] for result in LineResult}
    report.results_id = await results_store.insert_results(
        conn, list_file.id, by, counts, file_sha256=file_sha256
    )
    return report


async def _read_whole(
    conn: Connection,
    keyring: Keyring,
    list_file: ListFile,
    batches: AsyncIterator[Sequence[ResultLine | UnreadLine]],
    report: ResultsReport,
) -> list[_Said]:
    """What the lines say of each text, where they agree; all others are in the report."""
    runs = [run.run_id for run in await list_file_store.runs_of(conn, list_file.id)]
    said: dict[MessageKey, _Said] = {}
    contradicted: dict[MessageKey, list[ResultLine]] = {}
    async for batch in batches:
        lines = [line for line in batch if isinstance(line, ResultLine)]
        for line in batch:
            if isinstance(line, UnreadLine):
                report.name(line)
        known = await _texts_of(conn, keyring, list_file, runs, lines)
        for line in lines:
            _judge(line, known, keyring, said, contradicted, report)
    for key, others in contradicted.items():
        for line in (said.pop(key).line, *others):
            report.name(UnreadLine(line.row, LineResult.AMBIGUOUS, _CONTRADICTED))
    report.unread.sort()
    return list(said.values())


class _Known(NamedTuple):
    """The texts of a list by reference, and by the hash of the phone."""

    by_ref: Mapping[bytes, ListedText]
    by_phone: Mapping[bytes, Sequence[ListedText]]


async def _texts_of(
    conn: Connection,
    keyring: Keyring,
    list_file: ListFile,
    runs: Sequence[UUID],
    lines: Sequence[ResultLine],
) -> _Known:
    refs = [line.ref.encode() for line in lines if line.ref]
    phones = {keyring.phone_index(line.phone) for line in lines if line.phone and not line.ref}
    found = await results_store.find_texts(conn, list_file, runs, refs, sorted(phones))
    by_phone: dict[bytes, list[ListedText]] = {}
    for text in found:
        by_phone.setdefault(text.phone_hash, []).append(text)
    return _Known({text.ref: text for text in found}, by_phone)


def _judge(
    line: ResultLine,
    known: _Known,
    keyring: Keyring,
    said: dict[MessageKey, _Said],
    contradicted: dict[MessageKey, list[ResultLine]],
    report: ResultsReport,
) -> None:
    """What a line comes to, by the texts of the list and by the lines before it."""
    phone = keyring.phone_index(line.phone) if line.phone else b""
    if line.ref:
        one = known.by_ref.get(line.ref.encode())
        texts = [one] if one and phone in {b"", one.phone_hash} else []
    else:
        texts = list(known.by_phone.get(phone, ()))
    if len(texts) != 1:
        found = (LineResult.AMBIGUOUS, _SEVERAL) if texts else (LineResult.UNKNOWN, _NO_SUCH_TEXT)
        report.name(UnreadLine(line.row, *found))
        return
    text = texts[0]
    if line.state is None:
        report.lines[LineResult.OPEN] += 1
    elif (earlier := said.get(text.key)) is not None:
        if (earlier.line.state, earlier.line.reason) == (line.state, line.reason):
            report.lines[LineResult.ALREADY] += 1
        else:
            contradicted.setdefault(text.key, []).append(line)
    elif text.state == line.state.value:
        report.lines[LineResult.ALREADY] += 1
    else:
        said[text.key] = _Said(text, line)


def _receipt(said: _Said) -> Receipt:
    line = said.line
    if line.state is None:
        raise ValueError("a line without a result is no receipt")
    return Receipt(said.text.ref, line.phone, line.state, line.code, line.reason, line.done_at)


async def take_counts(
    conn: Connection, list_file: ListFile, run_id: UUID, counts: ToldCounts, by: By
) -> UUID:
    """Record what a carrier says of a run of a list in counts alone; the ledger stays as it is.

    Raises:
        Conflict: nobody has fetched the list.
        Invalid: the run is not on the list, or there are more than its texts on it.
    """
    need_fetched(list_file)
    runs = {run.run_id: run for run in await list_file_store.runs_of(conn, list_file.id)}
    if run_id not in runs:
        problem = phrase("it is none of the runs of this list: {runs}", runs=listing(runs))
        raise Invalid(
            phrase("the counts are wrong: run_id: {problem}", problem=problem),
            fields={"run_id": problem},
        )
    texts = runs[run_id].texts
    if counts.delivered + counts.undelivered > texts:
        problem = phrase(
            "with undelivered more than the {texts:,} texts that the list has of this run",
            texts=texts,
        )
        raise Invalid(
            phrase("the counts are wrong: {problem}", problem=problem),
            fields={"delivered": problem},
        )
    return await results_store.insert_results(
        conn, list_file.id, by, counts._asdict(), run_id=run_id
    )
