"""How the read replica stands, as figures; none where there is none."""

from collections.abc import Iterator

from prometheus_client.core import Metric

from service.api.system.families import counter, gauge
from service.storage.replica import SOURCES, ReadReplica, ReplicaState


def replica_families(replica: ReadReplica | None) -> Iterator[Metric]:
    """Whether it is read from, how old what it says is, and who has answered in its place."""
    if replica is None:
        return
    what = "1: the state in which the read replica is."
    states = (([state.value], int(replica.state is state)) for state in ReplicaState)
    yield gauge("tocsin_read_replica", what, ["state"], states)
    if replica.age is not None:
        what = "How old what the read replica says is."
        yield gauge("tocsin_read_replica_age_seconds", what, [], [([], replica.age)])
    what = "Answers that may be a few seconds old, by the server that gave them."
    answers = (([str(source)], replica.answers[source]) for source in SOURCES)
    yield counter("tocsin_read_replica_answers", what, ["source"], answers)
