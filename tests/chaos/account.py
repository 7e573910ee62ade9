"""Whether the ledger and the carrier's book agree about every single person (pure)."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from tests.chaos.book import Entry

TAKEN = frozenset({"submitted", "delivered", "undelivered", "expired", "unknown"})
"""What the ledger may say of a text only if the carrier accepted it."""


class Row(NamedTuple):
    """One line of a run's ledger."""

    run: str
    no: int
    phone: str
    state: str
    reason: str | None
    attempt: int
    channel: int


@dataclass(slots=True)
class Account:
    """What became of one run's people, by phone.

    twice: got it again though the one before had not failed. lost: nobody can say what became of
    it, or the ledger says what the carrier's book does not. open: a receipt is still to come.
    silent: accepted, and the carrier owes no receipt. uncertain: uncertain, accepted, and no
    receipt will settle it. never_left: uncertain, and never accepted.
    """

    target: int = 0
    taken: int = 0
    twice: list[str] = field(default_factory=list)
    lost: dict[str, str] = field(default_factory=dict)
    open: list[Row] = field(default_factory=list)
    silent: list[Row] = field(default_factory=list)
    uncertain: list[Row] = field(default_factory=list)
    never_left: list[Row] = field(default_factory=list)

    @property
    def uncertain_count(self) -> int:
        """How many are uncertain."""
        return len(self.uncertain) + len(self.never_left)


def account_for(
    people: Iterable[str],
    rows: Sequence[Row],
    entries: Sequence[Entry],
    ambiguous: frozenset[str] = frozenset(),
    gone: tuple[float, float] = (0.0, 0.0),
) -> Account:
    """Hold a run's ledger against what the carrier accepted of its text. people: the target.
    ambiguous: whose receipts fit more than one hand-off, so that no receipt settles it. gone: the
    instants between which receipts were stored and lost with the database.
    """
    accepted: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        accepted[entry.phone].append(entry)
    account = Account(target=len(rows), taken=len(accepted))
    account.twice = [phone for phone, found in accepted.items() if is_repeated(found)]
    listed = {row.phone for row in rows}
    for phone in {*people} - listed:
        account.lost[phone] = "has no row"
    for phone in accepted.keys() - listed:
        account.lost[phone] = "got it without a row"
    unheard = {
        phone
        for phone, (*_, last) in accepted.items()
        if last.due is None or gone[0] < last.due < gone[1]
    }
    for row in rows:
        _place(account, row, accepted, ambiguous, unheard)
    return account


def is_repeated(entries: Sequence[Entry]) -> bool:
    """Whether a later one came although the one before had not been reported as failed."""
    return any(
        not (first.failed and first.due is not None and first.due <= second.at)
        for first, second in pairwise(entries)
    )


def _place(
    account: Account,
    row: Row,
    accepted: Mapping[str, Sequence[Entry]],
    ambiguous: frozenset[str],
    unheard: Collection[str],
) -> None:
    """Find what a row's state amounts to. unheard: of whose last text no receipt will come."""
    found = accepted.get(row.phone, ())
    if row.state in ("queued", "submitting"):
        account.lost[row.phone] = f"is still {row.state}"
    elif row.state == "uncertain":
        if not found:
            account.never_left.append(row)
        elif row.phone in unheard or row.phone in ambiguous:
            account.uncertain.append(row)
        else:
            account.open.append(row)
    elif row.state in TAKEN and not found:
        account.lost[row.phone] = f"is {row.state}, and the carrier never had it"
    elif row.state == "submitted":
        (account.silent if row.phone in unheard else account.open).append(row)
    elif row.state == "delivered" and found[-1].failed:
        account.lost[row.phone] = "is delivered, and its receipt says that it failed"
