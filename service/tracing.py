"""Spans of this process for OpenTelemetry, where the standard variables (OTEL_…) ask for them.

Off is the default, and costs a comparison a span: the libraries are the extra `traces`, imported
only when it is switched on. A span has a name of the program and the ids, names of channels and
counts that are given here: no number, no name, no text, no word of an error, and nothing that a
caller wrote. No context is taken from callers, and none is given to anybody.
"""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Thread
from types import TracebackType
from typing import Any, Self

log = logging.getLogger(__name__)

Attributes = Mapping[str, str | int]

END_SECONDS = 3.0
"""How long a process that ends waits for its last spans to leave."""

_tracers: list[Any] = []
"""The tracer of this process; none: tracing is off."""


class TracedSpan:
    """A stretch of work; ends with `end`, or with its `with` block. This one is of nobody."""

    def end(self) -> None:
        """The work is done."""

    def note(self, attributes: Attributes) -> None:
        """Add what is known only now."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        if kind is not None:
            self.note({"error.type": kind.__name__})
        self.end()


class _Recorded(TracedSpan):
    """A span that is exported. own: as OpenTelemetry has it."""

    def __init__(self, own: Any) -> None:
        self._own = own

    def end(self) -> None:
        self._own.end()

    def note(self, attributes: Attributes) -> None:
        self._own.set_attributes(attributes)


NO_SPAN = TracedSpan()


def begin_span(name: str, attributes: Attributes) -> TracedSpan:
    """Begin a span; with tracing off it is `NO_SPAN`."""
    if not _tracers:
        return NO_SPAN
    return _Recorded(_tracers[0].start_span(name, attributes=attributes))


@contextmanager
def tracing() -> Iterator[None]:
    """While inside, spans are exported if the environment asks for it. What is wrong with that is
    logged and stops nobody: sending goes before seeing.
    """
    processor = _begin() if is_wanted(os.environ) else None
    try:
        yield
    finally:
        _tracers.clear()
        if processor is not None:  # in a thread: it waits half a minute for a silent collector
            ending = Thread(target=processor.shutdown, daemon=True)
            ending.start()
            ending.join(END_SECONDS)


def is_wanted(environment: Mapping[str, str]) -> bool:
    """Whether the standard variables ask for spans over OTLP."""
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    exporter = environment.get("OTEL_TRACES_EXPORTER", "")
    if exporter:
        return "otlp" in exporter.split(",")
    endpoints = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    return any(environment.get(name) for name in endpoints)


def _begin() -> Any:
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415  # opt-in
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415  # opt-in
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415  # opt-in
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415  # opt-in
    except ImportError:
        log.warning("no traces: OTEL_… asks for them, but the extra `traces` is not installed")
        return None
    try:
        named = "OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES"
        ours = {} if any(map(os.environ.get, named)) else {"service.name": "tocsin"}
        provider = TracerProvider(resource=Resource.create(ours), shutdown_on_exit=False)
        processor = BatchSpanProcessor(OTLPSpanExporter())
        provider.add_span_processor(processor)
        _tracers.append(provider.get_tracer("tocsin"))
    except Exception as error:  # noqa: BLE001  # whatever a variable makes of it
        log.warning("no traces", extra={"why": str(error)})
        return None
    log.info("traces are exported")
    return processor
