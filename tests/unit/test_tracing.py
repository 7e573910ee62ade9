"""Spans for OpenTelemetry: only where they are asked for, and nobody waits for them."""

import importlib.util
import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.tracing import NO_SPAN, begin_span, is_wanted, tracing
from tests.harness.collector import Collector, collecting
from workers.context import only_ids

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
RUN = "01a2253d-5a5d-7371-be8c-97eac88b2c82"


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER", "OTEL_SERVICE_NAME", ENDPOINT):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collecting() as found:
        monkeypatch.setenv(ENDPOINT, found.url)
        yield found


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, False),
        ({ENDPOINT: "http://c:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, True),
        ({ENDPOINT: ""}, False),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", ENDPOINT: "http://c:4318"}, False),
        ({"OTEL_TRACES_EXPORTER": "console"}, False),
        ({"OTEL_SDK_DISABLED": "TRUE", ENDPOINT: "http://c:4318"}, False),
    ],
)
def test_the_standard_variables_switch_it_on(given: dict[str, str], wanted: bool) -> None:
    assert is_wanted(given) is wanted


def test_off_nothing_is_made_and_nothing_is_imported() -> None:
    with tracing():
        assert begin_span("slice", {}) is NO_SPAN
    code = (
        "import sys, service.app, workers.__main__; from service.tracing import *\n"
        "with tracing(): begin_span('slice', {}).end()\n"
        "print([m for m in sys.modules if m.startswith('opentelemetry')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_spans_reach_the_collector_with_what_they_were_given(collector: Collector) -> None:
    with tracing(), begin_span("slice", {"tocsin.channel": "mobile", "tocsin.texts": 7}) as span:
        span.note({"tocsin.more": 1})
    assert begin_span("slice", {}) is NO_SPAN, "it is over"
    given = {"tocsin.channel": "mobile", "tocsin.texts": 7, "tocsin.more": 1}
    assert collector.spans == [("slice", given)]
    (resource,) = collector.resources
    assert resource.pop("service.name") == "tocsin"
    assert {name.rpartition(".")[0] for name in resource} <= {"telemetry.sdk", "service.instance"}
    assert collector.paths == {"/v1/traces"}


def test_the_name_of_the_service_is_whoever_runs_its(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "tocsin-jingde")
    with tracing():
        begin_span("slice", {}).end()
    assert [one["service.name"] for one in collector.resources] == ["tocsin-jingde"]


@pytest.mark.attack
async def test_a_job_that_fails_tells_its_ids_and_the_kind_of_its_error(
    collector: Collector,
) -> None:
    async def count(_: dict[str, object], run_id: str) -> None:
        raise RuntimeError("19790080001 欧阳")

    with tracing():
        with pytest.raises(RuntimeError):
            await only_ids(count)({}, RUN)
        await only_ids(count)({}, "19790080001")
    found = {"tocsin.run_id": RUN, "error.type": "RuntimeError"}
    assert collector.spans == [("job count", found)]
    whole = b"".join(collector.requests)
    assert b"19790080001" not in whole
    assert "欧阳".encode() not in whole


def test_a_silent_collector_holds_up_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    with collecting(silent=True) as found:
        monkeypatch.setenv(ENDPOINT, found.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "600")
        monkeypatch.setattr("service.tracing.END_SECONDS", 0.2)
        with tracing():
            for _ in range(5_000):
                begin_span("slice", {}).end()
            began = time.monotonic()
        assert time.monotonic() - began < 20, "the library's own patience is 30 s"


def test_without_the_extra_the_process_goes_on_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:9")
    for name in [name for name in sys.modules if name.startswith("opentelemetry.exporter")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter", None)
    with caplog.at_level(logging.WARNING), tracing():
        assert begin_span("slice", {}) is NO_SPAN
    assert "the extra `traces` is not installed" in caplog.text


def test_a_variable_that_makes_no_sense_stops_nobody(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, collector: Collector
) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "100000")
    with caplog.at_level(logging.WARNING), tracing():
        assert begin_span("slice", {}) is NO_SPAN
    assert "no traces" in caplog.text


def test_the_library_is_an_extra() -> None:
    assert importlib.util.find_spec("opentelemetry") is not None, "tests have it"
    lock = Path(__file__).parents[2] / "deploy" / "requirements.lock"
    assert "opentelemetry" not in lock.read_text("utf-8")
