"""GET /metrics: what waits in the system, and what this process takes, for Prometheus.

No phone number, no campaign and no department is in it, so any key may read it that may read at
all: give the scraper one of a viewer. The backlog is read from PostgreSQL at most once in a few
seconds, however many ask.
"""

import asyncio
from collections.abc import Iterable, Iterator
from datetime import datetime
from importlib.metadata import version
from itertools import chain

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from service.accounts.people.model import Right
from service.api.http.auth import authenticate
from service.api.system.backlog_store import Backlog, BacklogCount, read_backlog
from service.api.system.expiry import certificate_families
from service.api.system.families import counter, gauge, waiting
from service.api.system.replica import replica_families
from service.api.system.standing import families_of
from service.api.system.standing_store import read_standing
from service.ledger.priority import PRIORITIES
from service.ledger.states import OPEN_RUNS, RunState
from service.reports.interruptions import KINDS
from service.runtime import Runtime
from service.web import RUNTIME

READ_SECONDS = 5.0
"""How old the backlog that is shown may be."""

UNMATCHED = ("parked", "ambiguous", "unreadable")
MAILS = ("waiting", "leaving", "sent", "uncertain", "given_up")
RUNS = [state.value for state in RunState if state in OPEN_RUNS]


class Metrics:
    """The figures of one process and of what it sees in PostgreSQL."""

    def __init__(self) -> None:
        self._reading = asyncio.Lock()
        self._read: tuple[float, bytes] | None = None

    async def show(self, request: web.Request) -> web.Response:
        """The figures as text."""
        runtime = request.config_dict[RUNTIME]
        caller = await authenticate(request, runtime)
        caller.user.need(Right.READ)
        backlog = await self._backlog(runtime)
        body = runtime.figures.text() + backlog
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _backlog(self, runtime: Runtime) -> bytes:
        loop = asyncio.get_running_loop()
        async with self._reading:
            if self._read is None or loop.time() - self._read[0] >= READ_SECONDS:
                now = runtime.clock.now()
                async with runtime.pool.acquire() as conn:
                    backlog = await read_backlog(conn, now)
                    standing = await read_standing(conn, now)
                families = chain(
                    _families(backlog, now),
                    families_of(standing, now),
                    certificate_families(runtime.settings.certificates, now),
                    replica_families(runtime.replica),
                )
                self._read = loop.time(), _text(families)
            return self._read[1]


class _Families:
    """Families as a registry's collector gives them."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterable[Metric]:
        return self._families


def _text(families: Iterable[Metric]) -> bytes:
    registry = CollectorRegistry()
    registry.register(_Families(families))
    return generate_latest(registry)


def _families(backlog: Backlog, now: datetime) -> Iterator[Metric]:
    """Every family; what does not wait anywhere is shown as 0, so that an alert can tell."""
    yield gauge("tocsin_build_info", "The version.", ["version"], [([version("tocsin")], 1)])
    yield from _of_what_came_back(backlog, now)
    yield from _of_channels(backlog)
    yield from _of_interruptions(backlog, now)
    runs = (([state], backlog.runs.get(state, 0)) for state in RUNS)
    yield gauge("tocsin_runs", "Open runs.", ["state"], runs)
    yield gauge("tocsin_imports_waiting", "Files not read yet.", [], [([], backlog.imports)])
    mails = (([state], backlog.mails.get(state, 0)) for state in MAILS)
    yield gauge("tocsin_notice_mails", "Mails of the last 24 hours.", ["state"], mails)
    backups = (([kind], age) for kind, age in backlog.backups.items())
    yield gauge("tocsin_backup_age_seconds", "Since the last backup of a kind.", ["kind"], backups)
    if backlog.kept_log is not None:
        kept = [(list[str](), backlog.kept_log)]
        yield gauge("tocsin_log_backlog_octets", "Log that waits to be copied.", [], kept)
    yield from _of_processes(backlog)
    ago = (([act], seconds) for act, (seconds, _) in backlog.turns.items())
    took = (([act], seconds) for act, (_, seconds) in backlog.turns.items())
    yield gauge("tocsin_act_ago_seconds", "Since the last end of a regular act.", ["act"], ago)
    yield gauge("tocsin_act_seconds", "How long its last turn took.", ["act"], took)


def _of_what_came_back(backlog: Backlog, now: datetime) -> Iterator[Metric]:
    nothing, channels, one = BacklogCount(0, None), backlog.channels, ["channel"]
    receipts = [([c], backlog.receipts.get(c, nothing)) for c in channels]
    yield from waiting("tocsin_receipts_waiting", "Receipts not folded yet", one, receipts, now)
    unmatched = [
        ([c, why], backlog.unmatched.get((c, why), nothing)) for c in channels for why in UNMATCHED
    ]
    yield from waiting(
        "tocsin_receipts_unmatched",
        "Receipts that have met nothing yet, or could not be read",
        ["channel", "why"],
        unmatched,
        now,
    )
    uncertain = [([c], backlog.uncertain.get(c, nothing)) for c in channels]
    yield from waiting("tocsin_messages_uncertain", "Uncertain texts", one, uncertain, now)
    texts = [(list[str](), backlog.texts)]
    yield from waiting("tocsin_texts_unread", "Texts of handsets not read yet", [], texts, now)


def _of_interruptions(backlog: Backlog, now: datetime) -> Iterator[Metric]:
    work = [([kind], found) for kind, found in backlog.work.items()]
    yield from waiting("tocsin_work", "What waits for a person", ["kind"], work, now)
    what = "What stopped sending or let it go on, since ever."
    kinds = (([kind], backlog.interruptions.get(kind, 0)) for kind in KINDS)
    yield counter("tocsin_interruptions", what, ["kind"], kinds)


def _of_processes(backlog: Backlog) -> Iterator[Metric]:
    """Each process by what it runs, where, and its number there."""
    labels = ["kind", "host", "pid"]
    seen = [([p.kind, p.host, str(p.pid)], s) for s in backlog.processes for p in [s.process]]
    ago = ((of, process.ago) for of, process in seen)
    yield gauge("tocsin_process_seen_seconds", "Since a process last beat.", labels, ago)
    offsets = ((of, p.ahead) for of, p in seen if p.ahead is not None)
    what = "How far its clock is ahead of PostgreSQL's; below 0: behind."
    yield gauge("tocsin_clock_offset_seconds", what, labels, offsets)
    unsure = ((of, p.uncertainty) for of, p in seen if p.uncertainty is not None)
    what = "Half of the round trip in which the offset was measured."
    yield gauge("tocsin_clock_uncertainty_seconds", what, labels, unsure)
    versions = (([*of, p.process.version, p.process.known], 1.0) for of, p in seen)
    what = "Its version, and the last migration that it knows."
    yield gauge("tocsin_process_info", what, [*labels, "version", "migration"], versions)


def _of_channels(backlog: Backlog) -> Iterator[Metric]:
    yield gauge(
        "tocsin_messages_open",
        "Messages of slices that are not done: at most so many are queued.",
        ["channel", "priority"],
        (
            ([c, priority], backlog.messages.get((c, number), 0))
            for c in backlog.channels
            for number, priority in enumerate(PRIORITIES)
        ),
    )
    yield gauge(
        "tocsin_connections",
        "Connections to the carrier that are up, and that there should be.",
        ["channel", "state"],
        (
            ([c, state], count)
            for c in backlog.channels
            for state, count in zip(("up", "wanted"), backlog.connections[c], strict=True)
        ),
    )
    held = (([c], int(c in backlog.held)) for c in backlog.channels)
    yield gauge("tocsin_channel_held", "1 while a channel is held.", ["channel"], held)
