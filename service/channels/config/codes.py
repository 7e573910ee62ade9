"""Carriers' codes as the operator reads them, over the tables of the gateways; pure.

The tables of a protocol are those of its specification and of several vendors; a province may mean
something else by a code, or know one that nobody listed. The operator's word on a kind's code
counts then, in two limits: what was accepted or never written stays so, and nothing becomes
accepted by a word, for that comes with a reference.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from service.channels.contract.gateway import Receipt, SubmitResult
from service.channels.contract.outcome import Outcome, ReceiptState
from service.errors import Invalid
from service.ledger.reasons import Place, Reason
from service.words.phrase import listing, phrase

Applies = Literal["submit", "receipt"]

SETTLED = frozenset({Outcome.ACCEPTED, Outcome.NOT_SENT})
"""Outcomes that no code changes, and that no code can mean."""

_SUBMIT_OUTCOMES = [outcome for outcome in Outcome if outcome not in SETTLED]
_REASONS = Reason.at(Place.CARRIER)
_WITHOUT_REASON = frozenset({ReceiptState.DELIVERED, ReceiptState.BUFFERED})


@dataclass(frozen=True, slots=True)
class CarrierCode:
    """What a code means.

    kind: of the gateway whose carrier says it.
    applies_to: the answers to submits, or the state reports.
    code: exactly as the carrier writes it, and as the reports show it.
    outcome: an `Outcome` of a submit, a `ReceiptState` of a report.
    reason: a `Reason`; "" where nothing went wrong.
    """

    kind: str
    applies_to: Applies
    code: str
    outcome: str
    reason: str = ""
    note: str = ""


def checked(code: CarrierCode) -> CarrierCode:
    """The code, with the reason `other` where one is due and none was given.

    Raises:
        Invalid: names the field, and what may stand there.
    """
    fields = dict(_faults(code))
    if fields:
        raise Invalid(phrase("the meaning of the code is wrong"), fields=fields)
    needs = code.applies_to == "submit" or code.outcome not in _WITHOUT_REASON
    return replace(code, reason=code.reason or Reason.OTHER.value) if needs else code


def _faults(code: CarrierCode) -> Iterable[tuple[str, str]]:
    if not code.code or code.code != code.code.strip():
        yield "code", phrase("the code as the carrier writes it, without blanks around it")
    allowed: Iterable[Outcome | ReceiptState] = (
        _SUBMIT_OUTCOMES if code.applies_to == "submit" else ReceiptState
    )
    if code.outcome not in list(allowed):
        yield "outcome", phrase("one of {allowed}", allowed=listing(allowed))
    elif code.applies_to == "receipt" and code.outcome in _WITHOUT_REASON and code.reason:
        yield "reason", phrase("leave it out: {outcome} needs no reason", outcome=code.outcome)
    if code.reason and code.reason not in _REASONS:
        yield "reason", phrase("one of {reasons}", reasons=listing(_REASONS))


_FAILURES = {ReceiptState.UNDELIVERED, ReceiptState.EXPIRED, ReceiptState.REJECTED}


@dataclass(frozen=True, slots=True)
class Codes:
    """The operator's codes of one kind of gateway."""

    submits: Mapping[str, tuple[Outcome, Reason]] = field(default_factory=dict)
    receipts: Mapping[str, tuple[ReceiptState, Reason]] = field(default_factory=dict)

    def submit(self, result: SubmitResult) -> SubmitResult:
        """The answer to a submit, as its code is to be read."""
        if not self.submits or result.outcome in SETTLED:
            return result
        meaning = self.submits.get(result.code)
        if meaning is None:
            return result
        return replace(result, outcome=meaning[0], reason=meaning[1].value)

    def receipt(self, receipt: Receipt) -> Receipt:
        """A state report, as its code is to be read.

        What the carrier says has arrived may become less certain, and is never a failure: what has
        failed may be sent again, so one person's setting would have it sent twice.
        """
        meaning = self.receipts.get(receipt.code) if self.receipts else None
        if meaning is None:
            return receipt
        if receipt.state is ReceiptState.DELIVERED and meaning[0] in _FAILURES:
            return receipt
        return replace(receipt, state=meaning[0], reason=meaning[1].value)


NO_CODES = Codes()


def by_kind(codes: Iterable[CarrierCode]) -> dict[str, Codes]:
    """The codes of each kind that has any.

    Raises:
        Invalid: one has a meaning that there is not.
    """
    submits: dict[str, dict[str, tuple[Outcome, Reason]]] = {}
    receipts: dict[str, dict[str, tuple[ReceiptState, Reason]]] = {}
    for code in map(checked, codes):
        reason = Reason(code.reason)
        if code.applies_to == "submit":
            submits.setdefault(code.kind, {})[code.code] = (Outcome(code.outcome), reason)
        else:
            receipts.setdefault(code.kind, {})[code.code] = (ReceiptState(code.outcome), reason)
    kinds = submits.keys() | receipts.keys()
    return {kind: Codes(submits.get(kind, {}), receipts.get(kind, {})) for kind in kinds}
