"""What is left of a number that somebody logs all the same."""

import json
import logging
import random
import uuid

import pytest

from service.logs import JSONFormatter, masked


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
