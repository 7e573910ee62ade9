"""What a server shows Prometheus."""

from prometheus_client.parser import text_string_to_metric_families

from tests.integration.api.conftest import Api

VIEWER = ("school", "viewer")
LABELS = {"channel", "why", "priority", "state", "act", "version", "kind"} | {
    "host", "pid", "migration", "route", "status", "le", "logger", "folder", "cause", "outcome",
    "standby", "file", "source",
}  # fmt: skip

Figures = dict[tuple[str, ...], float]


async def figures(api: Api) -> Figures:
    """Each of our figures under its name and its labels' values."""
    answer = await api.get("//metrics", VIEWER)
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    found: Figures = {}
    for family in text_string_to_metric_families(answer.body.decode()):
        for sample in family.samples:
            if sample.name.startswith("tocsin_"):
                assert set(sample.labels) <= LABELS
                found[sample.name, *sample.labels.values()] = sample.value
    return found
