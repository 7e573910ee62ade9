"""A ledger row into a message ready to leave: its number in clear, its text filled, its parts.

A text without variables is cut once and shared by the whole slice. The values of one with variables
are judged before they are filled in (`value_check`).
"""

import itertools
import json
import random
import uuid
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from service.audience.numbers.prefix import is_synthetic
from service.campaigns.calendar.hours import HourTerms
from service.coding.parts import Part
from service.crypto import Keyring
from service.dispatch.fair_queue import Flow
from service.dispatch.value_check import ValueCheck
from service.ledger.reasons import Reason
from service.messages.signature import SignMode, Split, place, split_signed
from service.messages.template import allowed_values, render, variables
from service.messages.value_sources import PERSON_VARIABLES
from service.storage.postgres import Record
from service.tracing import NO_SPAN, TracedSpan

VARIABLES = "variables"
"""The kind of cipher that `messages.variables_cipher` is."""

_references = itertools.count(random.randrange(65536))  # noqa: S311  # no secret


@dataclass(slots=True, eq=False)
class Message:
    """One recipient's text on its way out, and the answers of its parts so far."""

    work: "ClaimedSlice"
    no: int
    phone: str
    phone_hash: bytes
    parts: tuple[Part, ...]
    reference: int
    attempt: int = 0
    open_parts: int = 0
    flying: int = 0
    refs: list[tuple[int, bytes]] = field(default_factory=list)
    unanswered: bool = False
    unsent: int = 0
    rejection: tuple[str, str] | None = None

    @property
    def begun(self) -> bool:
        """Whether any of it has left or may have; what was refused as too fast has not."""
        return bool(self.flying or self.refs or self.unanswered)


@dataclass(slots=True, eq=False)
class ClaimedSlice:
    """A claimed slice: what it says, who is still to get it, and how many are on their way.

    flow, weight: whose it is and how much it counts when turns are taken.
    extension: the digits that its texts leave from, behind the channel's number.
    joint: whether it is of a leg of a joint plan, whose people may be in other legs, too.
    direct: whether its run is of no campaign: then whoever sends gave the values.
    taken_together: whether it is a slice of a direct run with few rows; such slices are taken,
    marked and finished together.
    has_allowance: whether the department has a quota of its own.
    marked_parts: how many of its parts were marked, to be compared with other runs of its flow.
    rows_without_message: the rows that gave no message, and why.
    credit, next_at: tokens of the campaign's own pace that are saved up, and the loop's time before
    which there are no more.
    span: from the claim until its last result is recorded.
    """

    run_id: uuid.UUID
    slice_no: int
    text: str
    message_class: str
    max_tps: int | None
    hours: HourTerms
    valid_until: datetime | None
    flow: Flow
    weight: int
    rows: deque[Record]
    extension: str = ""
    has_allowance: bool = False
    joint: bool = False
    direct: bool = False
    taken_together: bool = False
    rows_without_message: list[tuple[int, Reason]] = field(default_factory=list)
    outstanding: int = 0
    not_before: datetime | None = None
    fixed_parts: tuple[Part, ...] | None = None
    marked_parts: int = 0
    credit: int = 0
    next_at: float = 0.0
    span: TracedSpan = NO_SPAN

    @property
    def parts_each(self) -> int:
        """How many parts a message has, as far as is known before it is made."""
        return len(self.fixed_parts) if self.fixed_parts else 1

    @property
    def key(self) -> tuple[uuid.UUID, int]:
        """What names the slice in the database."""
        return self.run_id, self.slice_no

    def is_over(self, now: datetime) -> bool:
        """Whether its texts are past their validity."""
        return self.valid_until is not None and now >= self.valid_until


def claimed_slice_from(claimed: Record, rows: list[Record], extension: str) -> ClaimedSlice:
    """A slice that `slice_store.claim_slices` returned, with its rows, to leave from there."""
    return ClaimedSlice(
        run_id=claimed["run_id"],
        slice_no=claimed["no"],
        text=claimed["text"],
        message_class=claimed["class"],
        max_tps=claimed["max_tps"],
        hours=HourTerms.of_run(claimed),
        valid_until=claimed["valid_until"],
        flow=Flow(claimed["priority"], claimed["department_id"]),
        weight=claimed["weight"],
        rows=deque(rows),
        extension=extension,
        has_allowance=claimed["has_allowance"],
        joint=claimed["joint"],
        direct=claimed["direct"],
        taken_together=claimed["taken_together"],
    )


class WrongNumberKind(Exception):
    """A number that the channel must not have: nobody's on a real one, somebody's on a simulated
    one (invariant I12). An expansion leaves these out; this is the last look, at the number itself.
    """

    def __init__(self, reason: Reason) -> None:
        self.reason = reason
        super().__init__(reason)


class Composer:
    """Makes messages out of rows, for one channel's way of cutting texts."""

    def __init__(
        self,
        keyring: Keyring,
        areas: Mapping[str, tuple[str, str]],
        split: Split,
        *,
        values: ValueCheck | None = None,
        signature: SignMode = "ours_head",
        signature_counts: bool = True,
        simulated: bool,
    ) -> None:
        """`areas` maps an area code to the names of its town and village ("" if above them);
        `values` judges what fills a text, by the words shipped if it is None; `signature`,
        `signature_counts` and `simulated` are the channel's.
        """
        self._keyring = keyring
        self._simulated = simulated
        self._areas = areas
        self._check = (values or ValueCheck()).check
        self._mode = signature
        self._split = partial(split_signed, split=split, mode=signature, counts=signature_counts)

    def compose(self, work: ClaimedSlice, row: Record) -> Message:
        """The message of one row.

        Raises:
            WrongNumberKind: the channel must not have its number.
            ValueRefused: a value may not stand in the text.
            MissingValue: a variable has no value.
        """
        return Message(
            work=work,
            no=row["no"],
            phone=self.phone(row),
            phone_hash=row["phone_hash"],
            parts=self._parts(work, row),
            reference=next(_references) & 0xFFFF,
        )

    def phone(self, row: Record) -> str:
        """The number of a row in clear.

        Raises:
            WrongNumberKind: the channel must not have it.
        """
        phone = self._keyring.decrypt("phone", row["phone_cipher"])
        if is_synthetic(phone) != self._simulated:
            raise WrongNumberKind(
                Reason.NOT_SYNTHETIC if self._simulated else Reason.SYNTHETIC_RANGE
            )
        return phone

    def words(self, text: str, row: Record) -> str:
        """What the person of a row reads, as this channel writes it; its values were judged when it
        was handed off.
        """
        if names := variables(text):
            given = row["direct"] and bool(row["variables_cipher"])
            text = render(text, self._stored(row) if given else self._facts(row, names))
        return place(text, self._mode)

    def _parts(self, work: ClaimedSlice, row: Record) -> tuple[Part, ...]:
        if work.fixed_parts is not None:
            return work.fixed_parts
        names = variables(work.text)
        if not names:
            work.fixed_parts = self._split(work.text)
            return work.fixed_parts
        given = work.direct and bool(row["variables_cipher"])
        values = self._stored(row) if given else self._facts(row, names)
        self._check(
            names,
            values,
            given=given,
            department_id=work.flow.department,
            allowed=allowed_values(work.text),
        )
        return self._split(render(work.text, values))

    def _stored(self, row: Record) -> Mapping[str, str]:
        """What is kept with the row: what a direct send gave for each variable, or what a list
        said of each fact when the ledger was written.
        """
        cipher = row["variables_cipher"]
        values: dict[str, str] = json.loads(self._keyring.decrypt(VARIABLES, cipher))
        return values

    def _facts(self, row: Record, names: Sequence[str]) -> Mapping[str, str]:
        """What fills these variables of a campaign's text; "" where nothing is known."""
        cipher = row["name_cipher"]
        town, village = self._areas.get(row["area_code"] or "", ("", ""))
        facts = {
            "name": self._keyring.decrypt("name", cipher) if cipher else "",
            "town": town,
            "village": village,
        }
        if row["variables_cipher"]:
            facts |= self._stored(row)
        return {name: facts.get(PERSON_VARIABLES[name], "") for name in names}
