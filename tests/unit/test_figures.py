"""What a process counts of its own work."""

import io
import logging
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.figures import ProcessFigures
from service.logs import CountedStream, error_counts


def figures(process: ProcessFigures) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(process.text().decode())
        for sample in family.samples
    }


def test_requests_are_counted_by_their_route_and_how_they_ended() -> None:
    process = ProcessFigures()
    for status, seconds in ((200, 0.02), (200, 3.0), (503, 0.3)):
        process.note_request("GET", "/api/v1/runs/{run_id}", status, seconds)
    process.note_request("GET", "/runs", 200, 0.02)
    found = figures(process)
    route = "GET /api/v1/runs/{run_id}"
    assert found["tocsin_requests_total", route, "200"] == 2
    assert found["tocsin_requests_total", route, "503"] == 1
    assert found["tocsin_request_seconds_bucket", "api", "0.025"] == 1
    assert found["tocsin_request_seconds_bucket", "api", "0.5"] == 2
    assert found["tocsin_request_seconds_count", "api"] == 3
    assert found["tocsin_request_seconds_count", "page"] == 1


@pytest.mark.attack
def test_whoever_makes_up_addresses_and_methods_makes_no_new_figures() -> None:
    process = ProcessFigures()
    for method in ("GET", "BREW", "X" * 100):
        process.note_request(method, "", 404, 0.01)
    named = [key for key in figures(process) if key[0] == "tocsin_requests_total"]
    assert named == [("tocsin_requests_total", "none", "404")]


def test_the_delay_of_receipts_is_told_by_channel() -> None:
    process = ProcessFigures()
    process.note_receipt_delays("mobile", [0.5, 3.0, 100_000.0])
    process.note_receipt_delays("unicom", [])
    found = figures(process)
    assert found["tocsin_receipt_delay_seconds_bucket", "mobile", "1.0"] == 1
    assert found["tocsin_receipt_delay_seconds_bucket", "mobile", "5.0"] == 2
    assert found["tocsin_receipt_delay_seconds_bucket", "mobile", "+Inf"] == 3
    assert not [key for key in found if "unicom" in key], "nothing came"


def test_errors_that_are_logged_are_counted_and_nothing_less() -> None:
    stream = io.StringIO()
    log = logging.getLogger("service.figures_of_a_test")
    handler = CountedStream(stream)
    log.addHandler(handler)
    before = error_counts().get(log.name, 0)
    try:
        log.error("one")
        log.critical("two")
        log.warning("three")
    finally:
        log.removeHandler(handler)
    assert stream.getvalue() == "one\ntwo\nthree\n"
    assert error_counts()[log.name] - before == 2
    assert figures(ProcessFigures())["tocsin_errors_total", log.name] == before + 2


def test_a_disk_that_is_not_there_is_left_out(tmp_path: Path) -> None:
    folders = {"here": tmp_path, "gone": tmp_path / "gone"}
    found = figures(ProcessFigures(folders))
    assert 0 < found["tocsin_disk_used_ratio", "here"] < 1
    assert ("tocsin_disk_used_ratio", "gone") not in found
