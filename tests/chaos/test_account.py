"""The audit of the chaos runs finds each thing that must never be."""

from pathlib import Path

from tests.chaos.account import Account, Row, account_for
from tests.chaos.book import Book, Entry

ONE, TWO = "+8619790000001", "+8619790000002"


def row(phone: str = ONE, state: str = "delivered") -> Row:
    return Row("r", 1, phone, state, None, 1, 1)


def accepted(
    phone: str = ONE, at: float = 10.0, due: float | None = 11.0, stat: str = "DELIVRD"
) -> Entry:
    return Entry(at, "901234", phone, due, stat)


def audit(*rows: Row, entries: tuple[Entry, ...] = (), people: tuple[str, ...] = (ONE,)) -> Account:
    return account_for(people, rows, entries)


def test_all_is_well() -> None:
    found = audit(row(), entries=(accepted(),))
    assert (found.target, found.taken, found.twice, found.lost) == (1, 1, [], {})


def test_a_second_text_after_one_that_arrived() -> None:
    assert audit(row(), entries=(accepted(), accepted(at=12.0))).twice == [ONE]


def test_a_second_text_while_the_first_is_on_its_way() -> None:
    first = accepted(stat="MI:0099", due=20.0)
    assert audit(row(), entries=(first, accepted(at=12.0))).twice == [ONE]


def test_a_second_text_where_the_first_will_never_be_answered() -> None:
    assert audit(row(), entries=(accepted(due=None), accepted(at=12.0))).twice == [ONE]


def test_a_retry_after_a_failure_is_none() -> None:
    first = accepted(stat="MI:0099", due=11.0)
    assert audit(row(), entries=(first, accepted(at=12.0))).twice == []


def test_somebody_without_a_row() -> None:
    found = audit(row(), entries=(accepted(), accepted(TWO)), people=(ONE, TWO))
    assert set(found.lost) == {TWO}
    assert set(audit(row(), entries=(accepted(), accepted(TWO))).lost) == {TWO}


def test_a_state_that_the_carrier_knows_nothing_of() -> None:
    for state in ("submitted", "delivered", "undelivered", "expired", "unknown"):
        assert set(audit(row(state=state)).lost) == {ONE}
    assert not audit(row(state="rejected")).lost


def test_a_state_that_contradicts_the_receipt() -> None:
    assert set(audit(row(), entries=(accepted(stat="MK:0001"),)).lost) == {ONE}


def test_somebody_who_was_left_behind() -> None:
    for state in ("queued", "submitting"):
        assert set(audit(row(state=state)).lost) == {ONE}


def test_what_is_still_to_come() -> None:
    waits, silent = (accepted(),), (accepted(due=None),)
    assert audit(row(state="submitted"), entries=waits).open
    assert audit(row(state="uncertain"), entries=waits).open
    assert audit(row(state="submitted"), entries=silent).silent
    assert audit(row(state="uncertain"), entries=silent).uncertain
    assert audit(row(state="uncertain")).never_left


def test_the_book_is_read_as_it_grows(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    line = (
        '{"event":"submit","at":1.5,"account":"901234","phone":"+8619790000001","due":null,'
        '"stat":"","digest":"d"}\n'
    )
    path.write_text(line + '{"event":"ack","at":1,"id":"00"}\n' + line[:20])
    book = Book(path)
    assert [entry.at for entry in book.all()] == [1.5]
    with path.open("a") as file:
        file.write(line[20:])
    assert len(book.all()) == 2


def test_an_uncertain_hand_off_whose_receipt_fits_several_texts_waits_for_no_receipt() -> None:
    one = row(state="uncertain")
    assert audit(one, entries=(accepted(),)).open == [one]
    found = account_for([ONE], [one], [accepted()], frozenset({ONE}))
    assert (found.open, found.uncertain) == ([], [one])


def test_a_receipt_that_was_lost_with_the_database_is_not_waited_for() -> None:
    submitted, uncertain = row(state="submitted"), row(state="uncertain")
    lost = account_for([ONE], [submitted], [accepted(due=11.0)], gone=(10.0, 12.0))
    assert (lost.open, lost.silent) == ([], [submitted])
    lost = account_for([ONE], [uncertain], [accepted(due=11.0)], gone=(10.0, 12.0))
    assert (lost.open, lost.uncertain) == ([], [uncertain])
    later = account_for([ONE], [uncertain], [accepted(due=13.0)], gone=(10.0, 12.0))
    assert later.open == [uncertain]
