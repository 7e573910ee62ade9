"""What one process counts of its own work since it began, for Prometheus.

No person, no campaign and no department is in any figure, and the values of labels are few: names
of the program and of channels. A process that starts again begins at 0, which Prometheus expects of
counters; what must not begin anew is counted in PostgreSQL (`service.api.system`).
"""

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import prometheus_client
from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from service import logs

REQUEST_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
RECEIPT_SECONDS = (1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3_600.0, 21_600.0, 86_400.0)
"""Most receipts come within seconds; a handset that is switched off takes up to days."""

# When each figure began would be as many lines again, for nobody.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # as it comes


class ProcessFigures:
    """The figures of one process. folders: by their names in figures, those whose disks are looked
    at.
    """

    def __init__(self, folders: Mapping[str, Path] | None = None) -> None:
        self.registry = CollectorRegistry()
        for kind in (ProcessCollector, PlatformCollector, GCCollector):
            kind(registry=self.registry)
        self.registry.register(_OwnState(folders or {"temporary": Path(tempfile.gettempdir())}))
        self._requests = Counter(
            "tocsin_requests", "Requests that were answered.", ["route", "status"],
            registry=self.registry,
        )  # fmt: skip
        self._request_seconds = Histogram(
            "tocsin_request_seconds", "How long answers took.", ["kind"],
            buckets=REQUEST_SECONDS, registry=self.registry,
        )  # fmt: skip
        self._receipt_seconds = Histogram(
            "tocsin_receipt_delay_seconds", "From a hand-off to its receipt.", ["channel"],
            buckets=RECEIPT_SECONDS, registry=self.registry,
        )  # fmt: skip

    def note_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered. route: as the program has it; "": there is no such address, and
        then the method may be any word of whoever asks.
        """
        named = f"{method} {route}" if route else "none"
        self._requests.labels(named, str(status)).inc()
        kind = "api" if route.startswith("/api/") else "page"
        self._request_seconds.labels(kind).observe(seconds)

    def note_receipt_delays(self, channel: str, delays: Sequence[float]) -> None:
        """Receipts of a channel have met their texts, each so many seconds after its hand-off."""
        if delays:
            histogram = self._receipt_seconds.labels(channel)
            for seconds in delays:
                histogram.observe(seconds)

    def text(self) -> bytes:
        """All of them as Prometheus reads them."""
        return generate_latest(self.registry)


class _OwnState(Collector):
    """What is looked at only when somebody asks: the errors that were logged, and the disks."""

    def __init__(self, folders: Mapping[str, Path]) -> None:
        self._folders = folders

    def collect(self) -> Iterable[Metric]:
        yield from self._errors()
        disks = GaugeMetricFamily(
            "tocsin_disk_used_ratio", "How full the disk of a folder is.", labels=["folder"]
        )
        for name, folder in self._folders.items():
            with suppress(OSError):  # it is not there, or not for us
                disk = shutil.disk_usage(folder)
                disks.add_metric([name], disk.used / (disk.used + disk.free))
        yield disks

    @staticmethod
    def _errors() -> Iterator[Metric]:
        family = CounterMetricFamily("tocsin_errors", "Errors that were logged.", labels=["logger"])
        for logger, count in sorted(logs.error_counts().items()):
            family.add_metric([logger], count)
        yield family
