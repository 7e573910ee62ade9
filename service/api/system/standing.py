"""How the whole system stands, as figures: channels, stops, breakers, replication, what expires."""

from collections.abc import Iterator
from datetime import datetime

from prometheus_client.core import Metric

from service.api.system.families import counter, gauge
from service.api.system.standing_store import OPEN_STATES, SystemStanding
from service.ledger.states import FINAL_AFTER_HANDOFF, MessageState

BREAKERS = ("closed", "half_open", "open")
CAUSES = ("person", "restored")
OUTCOMES = ("accepted", "refused", "failed", "unanswered", "unsent", "too_fast")
RECEIPTS = {"delivered": "arrived", "failed": "not_arrived"}
"""By what a receipt says of its text, or of a part of it: the column."""
ENDS = [state.value for state in MessageState if state in FINAL_AFTER_HANDOFF]
STANDBY_STATES = ("sync", "quorum", "potential", "async")


def families_of(standing: SystemStanding, now: datetime) -> Iterator[Metric]:
    """Every family; what there is none of is shown as 0, so that an alert can tell."""
    yield from _of_channels(standing)
    stopped = (([cause], int(standing.stopped == cause)) for cause in CAUSES)
    yield gauge("tocsin_stopped", "1 while everything is stopped.", ["cause"], stopped)
    campaigns = (([s.value], standing.campaigns.get(s, 0)) for s in OPEN_STATES)
    yield gauge("tocsin_campaigns", "Campaigns that are not over.", ["state"], campaigns)
    timeline = [(list[str](), standing.timeline)]
    yield gauge("tocsin_timeline", "The timeline that the database writes on.", [], timeline)
    accepted = [(list[str](), int(standing.is_accepted))]
    what = "1 while the database is known to lack nothing; 0: nothing is handed off."
    yield gauge("tocsin_timeline_accepted", what, [], accepted)
    what = "People whose facts were not what their lists say, when they were compared last."
    yield gauge("tocsin_facts_differing", what, [], [(list[str](), standing.differing)])
    yield from _of_standbys(standing)
    if standing.key_ends is not None:
        left = [(list[str](), (standing.key_ends - now).total_seconds())]
        what = "Until the next key expires that nobody has renewed; below 0: it has."
        yield gauge("tocsin_key_expiry_seconds", what, [], left)


def _of_channels(standing: SystemStanding) -> Iterator[Metric]:
    rows, one = standing.channels, ["channel"]
    marked = (([row["name"]], row["marked"]) for row in rows)
    what = "Texts that were marked as leaving, by channel, since ever."
    yield counter("tocsin_texts_handed_off", what, one, marked)
    submits = (([row["name"], outcome], row[outcome]) for row in rows for outcome in OUTCOMES)
    what = "Parts of texts that carriers were given, by what they answered, since ever."
    yield counter("tocsin_submits", what, ["channel", "outcome"], submits)
    receipts = (
        ([row["name"], state], row[column]) for row in rows for state, column in RECEIPTS.items()
    )
    what = "Receipts, of a part of a text each, by what they say, since ever."
    yield counter("tocsin_receipts", what, ["channel", "state"], receipts)
    ends = (
        ([row["name"], state], standing.ends.get((row["name"], state), 0))
        for row in rows
        for state in ENDS
    )
    what = "Texts that have ended after a hand-off, by state, since ever."
    yield counter("tocsin_texts_final", what, ["channel", "state"], ends)
    breakers = (
        ([row["name"], state], int(row["breaker"] == state)) for row in rows for state in BREAKERS
    )
    what = "1 for the state of a channel's circuit breaker; open: nothing is handed off."
    yield gauge("tocsin_breaker", what, ["channel", "state"], breakers)
    enabled = (([row["name"]], int(row["enabled"])) for row in rows)
    yield gauge("tocsin_channel_enabled", "1 while a channel is switched on.", one, enabled)
    tps = (([row["name"]], row["tps"]) for row in rows if row["tps"] is not None)
    yield gauge("tocsin_tps", "Parts a second that a channel may write.", one, tps)


def _of_standbys(standing: SystemStanding) -> Iterator[Metric]:
    states = [state for _, state, _ in standing.standbys]
    counts = (([state], states.count(state)) for state in STANDBY_STATES)
    yield gauge("tocsin_standbys", "Standbys that follow the database.", ["state"], counts)
    slowest: dict[str, float] = {}
    for name, _, lag in standing.standbys:
        slowest[name] = max(lag, slowest.get(name, 0.0))
    lags = (([name], lag) for name, lag in slowest.items())
    yield gauge("tocsin_standby_lag_seconds", "How far a standby is behind.", ["standby"], lags)
