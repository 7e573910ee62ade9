"""When a failed text is tried again: by its reason, within hours and validity."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from service.campaigns.calendar.hours import County, HourTerms
from service.channels.contract.outcome import ReceiptState
from service.dispatch.retries.retry import DELAYS, RetryTerms, due_at, is_passing
from service.ledger.reasons import Place, Reason
from service.ledger.states import FAILED
from service.protocols.cmpp import status as cmpp
from service.protocols.sgip import status as sgip
from service.protocols.smgp import status as smgp

ZONE = ZoneInfo("Asia/Shanghai")
TEN = datetime(2027, 1, 12, 10, 0, tzinfo=ZONE)
HOUR = timedelta(hours=1)


def terms(
    until: datetime | None = TEN + 48 * HOUR, message_class: str = "public_interest"
) -> RetryTerms:
    return RetryTerms(HourTerms((("08:00", "20:00"),), ZONE, message_class), County(), until)


def test_each_passing_reason_has_its_delay() -> None:
    """Domain 6.3: memory full once, frequency limit later."""
    assert due_at(Reason.NETWORK, terms(), TEN) == TEN + HOUR / 12
    assert due_at(Reason.FREQUENCY_LIMIT, terms(), TEN) == TEN + HOUR
    assert due_at(Reason.MEMORY_FULL, terms(), TEN) == TEN + HOUR / 2


@pytest.mark.parametrize(
    "reason",
    [
        Reason.NONE,
        Reason.EMPTY_NUMBER,
        Reason.SUSPENDED,
        Reason.POWERED_OFF,
        Reason.BLACKLISTED,
        Reason.PORTED,
        Reason.CONTENT_FILTER,
        Reason.REJECTED,
        Reason.ACCOUNT,
        Reason.FORMAT,
        Reason.OTHER,
        None,
        "decided",
    ],
)
def test_all_other_reasons_are_final(reason: str | None) -> None:
    assert due_at(reason, terms(), TEN) is None
    assert not is_passing("undelivered", reason)


def test_a_text_is_tried_again_for_what_carriers_say_and_passes() -> None:
    assert set(DELAYS) == {reason for reason in Reason.at(Place.CARRIER) if reason.passing}


@pytest.mark.parametrize("state", list(ReceiptState))
def test_only_what_certainly_failed_is_tried_again(state: ReceiptState) -> None:
    failed = {ReceiptState.UNDELIVERED, ReceiptState.EXPIRED, ReceiptState.REJECTED}
    assert is_passing(state.value, Reason.NETWORK) is (state in failed)
    assert {s.value for s in failed} == FAILED


def test_not_at_or_past_the_end_of_the_validity() -> None:
    assert due_at("memory_full", terms(TEN + HOUR / 2), TEN) is None
    end = TEN + HOUR / 2 + timedelta(seconds=1)
    assert due_at("memory_full", terms(end), TEN) == TEN + HOUR / 2


def test_without_an_end_of_the_validity_never() -> None:
    assert due_at("network", terms(None), TEN) is None


def test_only_within_the_send_hours_and_then_still_before_the_end() -> None:
    evening = TEN.replace(hour=19, minute=45)
    opening = (TEN + 24 * HOUR).replace(hour=8)
    assert due_at("memory_full", terms(), evening) == opening
    assert due_at("memory_full", terms(opening), evening) is None
    assert due_at("network", terms(), evening) == evening + HOUR / 12


def test_a_warning_waits_for_no_hours() -> None:
    evening = TEN.replace(hour=19)
    assert due_at("memory_full", terms(message_class="warning"), evening) == evening + HOUR / 2


@pytest.mark.parametrize(
    ("reason", "passes"),
    [
        (sgip.report_meaning(2, 21).reason, True),  # not reachable for now
        (sgip.report_meaning(2, 22).reason, False),  # wrong route
        (sgip.submit_meaning(23).reason, False),  # no route
        (sgip.submit_meaning(72).reason, False),
        (cmpp.submit_meaning(70).reason, True),  # link down
        (cmpp.submit_meaning(72).reason, False),  # no route
        (smgp.submit_meaning(39).reason, False),  # routing error
        (smgp.submit_meaning(58).reason, False),  # no route
    ],
)
def test_where_there_is_no_route_there_is_none_later(reason: Reason, passes: bool) -> None:
    """The protocols' tables call these codes permanent."""
    assert is_passing("undelivered", reason) is passes
