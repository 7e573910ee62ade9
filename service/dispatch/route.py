"""Which channel carries which number: own carrier's lane, by the channels' own lists (pure)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from service.channels.model import Channel


@dataclass(frozen=True, slots=True)
class Route:
    """The channel for one carrier's numbers."""

    carrier: str
    channel_id: int
    simulated: bool


def routes(channels: Iterable[Channel], chosen: Sequence[int] | None) -> list[Route]:
    """The channel for each carrier, among the enabled ones and, if given, the `chosen` ones.

    A channel dedicated to fewer carriers wins over one that takes everybody; then the lower id.
    A carrier that no channel serves has no route: its people are excluded, with that reason.
    """
    usable = [c for c in channels if c.enabled and (chosen is None or c.id in chosen)]
    found: dict[str, Route] = {}
    for channel in sorted(usable, key=lambda c: (len(c.carriers), c.id)):
        for carrier in channel.carriers:
            found.setdefault(carrier, Route(carrier, channel.id, channel.simulated))
    return [found[carrier] for carrier in sorted(found)]
