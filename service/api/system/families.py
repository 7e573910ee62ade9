"""Families of figures in the form that Prometheus reads."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from service.api.system.backlog_store import BacklogCount

LabelledValues = Iterable[tuple[list[str], float]]
"""A family's figures, each under the values of its labels."""


def waiting(
    name: str,
    what: str,
    labels: list[str],
    rows: list[tuple[list[str], BacklogCount]],
    now: datetime,
) -> Iterator[Metric]:
    """Two families: how many wait, and how long the first of them has."""
    yield gauge(name, f"{what}.", labels, ((of, found.count) for of, found in rows))
    ages = ((of, _age(found, now)) for of, found in rows)
    yield gauge(f"{name}_oldest_seconds", f"{what}: the age of the first.", labels, ages)


def _age(found: BacklogCount, now: datetime) -> float:
    return 0.0 if found.since is None else max(0.0, (now - found.since).total_seconds())


def gauge(name: str, help_: str, labels: list[str], rows: LabelledValues) -> Metric:
    """What goes up and down."""
    family = GaugeMetricFamily(name, help_, labels=labels)
    for values, value in rows:
        family.add_metric(values, value)
    return family


def counter(name: str, help_: str, labels: list[str], rows: LabelledValues) -> Metric:
    """What only rises, and is counted in PostgreSQL."""
    family = CounterMetricFamily(name, help_, labels=labels)
    for values, value in rows:
        family.add_metric(values, value)
    return family
