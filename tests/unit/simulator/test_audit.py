import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from service.errors import Misconfigured
from service.simulator.carrier.audit import PaceAudit, audit, received


def entry(**others: Any) -> dict[str, Any]:
    values = {
        "event": "submit",
        "at": 1000.0,
        "id": "00",
        "protocol": "cmpp",
        "account": "901234",
        "phone": "+8619790000001",
        "number": 1,
        "total": 1,
        "digest": "aa",
        "sender": "1069",
        "fate": "delivered",
        "stat": "DELIVRD",
        "due": None,
    }
    return {**values, **others}


def written(folder: Path, *entries: dict[str, Any]) -> Path:
    path = folder / "journal"
    path.write_text("".join(json.dumps(e) + "\n" for e in entries))
    return path


def test_who_got_how_much(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        entry(),
        {"event": "ack", "id": "00", "at": 1001.0},
        entry(phone="+8619790000002", digest="bb"),
        entry(phone="+8619790000002", digest="bb", number=2, total=2),
        entry(account="123456", protocol="smpp"),
    )
    book = audit(path)
    assert (book["parts"], book["phones"]) == (4, 2)
    assert book["phones_by_parts"] == {2: 2}
    assert [(a["protocol"], a["account"], a["parts"]) for a in book["accounts"]] == [
        ("cmpp", "901234", 3),
        ("smpp", "123456", 1),
    ]
    assert [e["digest"] for e in received(path, "+8619790000002")] == ["bb", "bb"]
    assert len(list(received(path))) == 4


def test_a_text_received_twice_is_named_with_its_instants(tmp_path: Path) -> None:
    twice = entry(phone="+8619790000002", number=2, total=2)
    path = written(
        tmp_path,
        entry(),
        twice,
        entry(digest="other"),
        entry(phone="+8619790000003"),
        {**twice, "at": 1060.5},
        {**twice, "number": 1},
    )
    book = audit(path)
    assert book["received_twice"] == 1
    assert book["received_twice_listed"] == [
        {
            "phone": "+8619790000002",
            "digest": "aa",
            "number": 2,
            "total": 2,
            "at": [1000.0, 1060.5],
        }
    ]


def test_the_busiest_second_by_calendar_and_by_span(tmp_path: Path) -> None:
    instants = [10.1, 10.6, 10.7, 10.8, 11.1, 11.2, 11.5, 12.9]
    book = audit(written(tmp_path, *[entry(at=at) for at in instants]))
    (account,) = book["accounts"]
    assert account["busiest_second"] == {"at": 10, "parts": 4}
    assert account["most_in_any_second"] == 6  # from 10.6 to 11.5
    assert (account["first_at"], account["last_at"]) == (10.1, 12.9)


def test_a_second_has_no_end_in_common_with_the_next() -> None:
    pace = PaceAudit()
    for at in (5.0, 5.5, 6.0):
        pace.add(at)
    assert pace.report()["most_in_any_second"] == 2


def test_a_clock_set_back_hides_no_second() -> None:
    pace = PaceAudit()
    for at in (100.0, 100.1, 50.0, 50.1, 50.2):
        pace.add(at)
    report = pace.report()
    assert report["busiest_second"] == {"at": 50, "parts": 3}
    assert report["most_in_any_second"] == 3


def test_the_part_by_seconds_needs_no_memory_for_each_second() -> None:
    def peak(seconds: int) -> int:
        pace = PaceAudit()
        tracemalloc.start()
        for second in range(seconds):
            for n in range(10):
                pace.add(second + n / 10)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(10)
    assert peak(20_000) < peak(200) + 20_000  # octets: less than one for each second


def test_an_older_journal_without_digests_can_be_audited(tmp_path: Path) -> None:
    old = entry()
    del old["digest"], old["protocol"]
    book = audit(written(tmp_path, old, old))
    assert (book["parts"], book["received_twice"]) == (2, 0)
    assert book["accounts"][0]["protocol"] == "cmpp"


def test_a_line_that_is_being_written_is_left_out(tmp_path: Path) -> None:
    path = written(tmp_path, entry(), entry())
    path.write_bytes(path.read_bytes()[:-5])
    assert audit(path)["parts"] == 1


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        "[]",
        '{"id": "00"}',
        '{"event": "submit", "id": 1}',
        '{"event": "ack", "id": "xy"}',
    ],
)
def test_what_is_no_journal_is_refused(tmp_path: Path, line: str) -> None:
    path = tmp_path / "journal"
    path.write_text(json.dumps(entry()) + "\n" + line + "\n")
    with pytest.raises(Misconfigured, match="line 2"):
        audit(path)


def test_a_missing_journal_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="cannot be read"):
        audit(tmp_path / "none")
