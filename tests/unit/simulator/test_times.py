from datetime import UTC, datetime, timedelta

from service.protocols.cmpp import report
from service.protocols.smgp import times
from service.simulator.carrier.times import by_minute, by_second

START = datetime(2027, 1, 12, 15, 58, 59, 500_000, tzinfo=UTC)  # before midnight in Beijing
MOMENTS = [START + timedelta(milliseconds=250) * n for n in range(600)]


def test_every_minute_and_second_is_written_as_without_a_memory() -> None:
    minute, second = by_minute(report.write_minute), by_second(times.write_second)
    assert [minute(at) for at in MOMENTS] == [report.write_minute(at) for at in MOMENTS]
    assert [second(at) for at in MOMENTS] == [times.write_second(at) for at in MOMENTS]
    assert {minute(at)[4:] for at in MOMENTS} == {"122358", "122359", "130000", "130001"}


def test_each_is_written_once_in_a_row_and_rightly_out_of_order() -> None:
    written: list[datetime] = []

    def write(at: datetime) -> str:
        written.append(at)
        return report.write_minute(at)

    minute = by_minute(write)
    for at in MOMENTS:
        minute(at)
    assert len(written) == 4
    back_and_forth = [*MOMENTS[::50], *MOMENTS[::-50], MOMENTS[0] - timedelta(days=1)]
    assert [minute(at) for at in back_and_forth] == [
        report.write_minute(at) for at in back_and_forth
    ]
