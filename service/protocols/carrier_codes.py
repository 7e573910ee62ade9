"""What a carrier's code means; each protocol's `status` module has the tables that lead here."""

from dataclasses import dataclass

from service.channels.contract.outcome import Outcome, ReceiptState
from service.ledger.reasons import Reason


@dataclass(frozen=True, slots=True)
class SubmitMeaning:
    """What a submit result means, with the carrier's words for a person."""

    outcome: Outcome
    reason: Reason
    text: str


@dataclass(frozen=True, slots=True)
class ReportMeaning:
    """What the status of a state report means."""

    state: ReceiptState
    reason: Reason


@dataclass(frozen=True, slots=True)
class LoginMeaning:
    """What a refused login means; retryable: may succeed later without anybody's doing."""

    retryable: bool
    text: str
