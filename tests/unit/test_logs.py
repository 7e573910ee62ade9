"""What is left of a number that somebody logs all the same."""

import json
import logging
import random
import uuid
from asyncio import BaseEventLoop

import pytest

from service.logs import (
    LEVELS,
    SELDOM_SECONDS,
    JSONFormatter,
    configure,
    log_context,
    masked,
    seldom,
)
from tests.harness.waiting import turns

log = logging.getLogger(__name__)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("19790001234", "197****1234"),
        ("+8619790001234", "+86197****1234"),
        ("8619790001234", "86197****1234"),
        ("008619790001234", "0086197****1234"),
        ("to=19790001234,", "to=197****1234,"),
        ("197 9000 1234", "197****1234"),
        ("197-9000-1234", "197****1234"),
        ("+86 197 9000 1234.", "+86 197****1234."),
        ("１９７９０００１２３４", "１９７****１２３４"),
        ("?phone=%2B8619790001234", "?phone=%2B86197****1234"),
        ("1065720001234", "1065720001234"),  # an access number
        ("119790001234", "119790001234"),
        ("2027-01-12T09:30:00.123456", "2027-01-12T09:30:00.123456"),
        ("0191a3f2-1972-7000-8000-197900012345", "0191a3f2-1972-7000-8000-197900012345"),
    ],
)
def test_a_number_in_any_usual_form_is_masked(text: str, shown: str) -> None:
    assert masked(text) == shown


def test_no_id_or_hash_is_taken_for_a_number() -> None:
    dice = random.Random(1)
    ids = [str(uuid.UUID(int=dice.getrandbits(128))) for _ in range(20_000)]
    ids += [f"{n}:{dice.randbytes(32).hex()}" for n in range(20_000)]
    assert [text for text in ids if masked(text) != text] == []


def test_message_facts_and_traceback_of_a_line_are_masked() -> None:
    error = ValueError("19790001234")
    record = logging.LogRecord(
        "n", logging.INFO, "", 1, "to %s", ("19790001234",), (ValueError, error, None)
    )
    record.phone = {"phone": "+8619790001234"}
    line = JSONFormatter().format(record)
    assert "9000" not in line
    assert json.loads(line)["message"] == "to 197****1234"


class TestSeldom:
    """What may happen with each message is logged once a minute."""

    @pytest.fixture
    def clock(self, monkeypatch: pytest.MonkeyPatch) -> list[float]:
        """The loop's time, which only the test moves on: before all that earlier tests put off."""
        at = [-1e6]
        monkeypatch.setattr(BaseEventLoop, "time", lambda _: at[0])
        return at

    async def _minute(self, clock: list[float]) -> None:
        clock[0] += SELDOM_SECONDS
        await turns(3)

    async def test_a_burst_is_a_line_at_once_and_one_with_its_count(
        self, clock: list[float], caplog: pytest.LogCaptureFixture
    ) -> None:
        for number in range(137):
            seldom(log, logging.WARNING, "paused", waiting=number)
        assert [vars(record)["waiting"] for record in caplog.records] == [0]
        await self._minute(clock)
        last = vars(caplog.records[-1])
        assert len(caplog.records) == 2
        assert (last["times"], last["waiting"], last["levelname"]) == (136, 136, "WARNING")

    async def test_after_a_quiet_minute_the_next_is_logged_at_once(
        self, clock: list[float], caplog: pytest.LogCaptureFixture
    ) -> None:
        seldom(log, logging.WARNING, "paused")
        await self._minute(clock)
        assert len(caplog.records) == 1
        seldom(log, logging.WARNING, "paused")
        assert len(caplog.records) == 2

    async def test_channels_and_messages_are_apart(
        self, clock: list[float], caplog: pytest.LogCaptureFixture
    ) -> None:
        for _ in range(3):
            for channel in ("mobile", "unicom"):
                with log_context(channel=channel):
                    seldom(log, logging.WARNING, "paused")
                    seldom(log, logging.WARNING, "not stored")
        assert len(caplog.records) == 4
        await self._minute(clock)
        assert [vars(record)["times"] for record in caplog.records[4:]] == [2] * 4


@pytest.mark.usefixtures("logging_as_before")
@pytest.mark.parametrize("level", LEVELS)
def test_a_line_for_each_job_is_logged_at_debug_only(
    level: str, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(level)
    for name in ("arq.worker", "workers"):
        for own in LEVELS:
            logging.getLogger(name).log(logging.getLevelNamesMapping()[own], own)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    shown = list(LEVELS[LEVELS.index(level) :])
    assert [line["level"] for line in lines if line["logger"] == "workers"] == shown
    if level == "INFO":
        shown.remove("INFO")
    assert [line["level"] for line in lines if line["logger"] == "arq.worker"] == shown


@pytest.mark.usefixtures("logging_as_before")
def test_a_logger_may_have_a_level_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    configure("WARNING,service.dispatch=DEBUG,arq=INFO")
    for name in ("service.dispatch.handoff", "service.delivery", "arq.worker"):
        for level in LEVELS:
            logging.getLogger(name).log(logging.getLevelNamesMapping()[level], level)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    shown = {
        name: [line["level"] for line in lines if line["logger"].startswith(name)]
        for name in ("service.dispatch", "service.delivery", "arq")
    }
    assert shown == {
        "service.dispatch": list(LEVELS),
        "service.delivery": ["WARNING", "ERROR"],
        "arq": ["INFO", "WARNING", "ERROR"],
    }
