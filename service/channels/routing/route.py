"""Which channel carries which number, and why (pure).

The carrier that serves the number decides. The carrier's own channels come first, since a carrier
sends to its own subscribers. Channels that take other networks' numbers too come next, as a
fallback. A hold passes, so a held channel may still be chosen, after its equals that are not held.
A channel whose breaker is not closed probably does not work; it comes after all others, fallbacks
included.

A carrier's subscriber base (`base`: whose) goes over this carrier's own gateways alone, and to its
own network alone: the carrier has these numbers for its own duty (Anti-Telecom and Online Fraud
Law, article 30), and nobody outside it may see them. Only such a base leaves as a list, and only
where no other channel could take it or the list channel was chosen: a list waits for a person.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import product

from service.audience.vocabulary.choices import CARRIERS
from service.words.phrase import listing, phrase
from service.words.terms import term


@dataclass(frozen=True, slots=True)
class RoutableChannel:
    """What of a channel decides who goes over it; the fields are those of ChannelSettings.

    held: whether its carrier said that nothing may be sent for now.
    open: whether its breaker is open or half open: it was found not to work.
    operator: the carrier whose gateway it leads to; None: of none, or it is not known.
    by_list: whether its texts leave as a list that the carrier sends by itself (`LISTS`).
    """

    id: int
    name: str
    simulated: bool
    carriers: tuple[str, ...]
    enabled: bool
    on_net_only: bool
    rank: int
    held: bool = False
    open: bool = False
    operator: str | None = None
    by_list: bool = False

    def serves(self, carrier: str | None) -> bool:
        """Whether this channel is for this carrier's subscribers."""
        return carrier in self.carriers


@dataclass(frozen=True, slots=True)
class RoutedNumber:
    """What of a number decides where it goes: who serves it, and whether it is nobody's."""

    carrier: str | None
    synthetic: bool


@dataclass(frozen=True, slots=True)
class Route:
    """The channel for one carrier's numbers: synthetic ones if it is simulated, else all others."""

    carrier: str
    channel_id: int
    simulated: bool


@dataclass(frozen=True, slots=True)
class RouteVerdict:
    """What is said of one channel for one number; the reason is a sentence."""

    channel: RoutableChannel
    eligible: bool
    reason: str


_OTHER_NUMBERS = {
    False: phrase("The channel is real and refuses the synthetic ranges."),
    True: phrase("The channel is simulated and takes the synthetic ranges only."),
}


def routes(
    channels: Iterable[RoutableChannel],
    chosen: Collection[int] | None,
    only: Collection[str] | None = None,
    *,
    base: str | None = None,
) -> list[Route]:
    """The channel for each carrier's numbers, synthetic ones and others apart.

    `chosen`: the campaign's own list of channels; None leaves the choice open. `only`: the carriers
    that are asked for; None: all. `base`: the carrier whose subscriber base the people are; None:
    nobody's. A carrier that no channel takes has no route: its people are excluded, with that
    reason.
    """
    known = list(channels)
    carriers = {*CARRIERS, *(carrier for channel in known for carrier in channel.carriers)}
    if only is not None:
        carriers.intersection_update(only)
    found = []
    for carrier, synthetic in product(sorted(carriers), (False, True)):
        channel = best_channel(known, RoutedNumber(carrier, synthetic), chosen, base)
        if channel is not None:
            found.append(Route(carrier, channel.id, synthetic))
    return found


def best_channel(
    channels: Iterable[RoutableChannel],
    number: RoutedNumber,
    chosen: Collection[int] | None,
    base: str | None = None,
) -> RoutableChannel | None:
    """The channel that a number takes; None: there is none for it."""
    able = [channel for channel in channels if obstacle(channel, number, chosen, base) is None]

    def order(channel: RoutableChannel) -> tuple[bool | int, ...]:
        return channel.by_list, channel.open, *_order(channel, not channel.serves(number.carrier))

    return min(able, key=order, default=None)


def obstacle(
    channel: RoutableChannel,
    number: RoutedNumber,
    chosen: Collection[int] | None,
    base: str | None = None,
) -> str | None:
    """Why a channel cannot take a number, as a sentence; None: it can."""
    if not channel.enabled:
        return phrase("The channel is switched off.")
    if chosen is not None and channel.id not in chosen:
        return phrase("The channel is not among those that were chosen.")
    if channel.simulated != number.synthetic:
        return _OTHER_NUMBERS[channel.simulated]
    if number.carrier is None:
        return phrase("No carrier is known for the number.")
    if channel.on_net_only and not channel.serves(number.carrier):
        return phrase(
            "The channel takes only numbers of {carriers}.",
            carriers=listing(map(term, channel.carriers), " and "),
        )
    return _not_for_base(channel, number.carrier, base)


def _not_for_base(channel: RoutableChannel, carrier: str, base: str | None) -> str | None:
    if base is None:
        if channel.by_list:
            return phrase(
                "Its texts leave as a list, and only a carrier's own base goes out as one."
            )
        return None
    if carrier != base:
        return phrase(
            "A subscriber base of {base} goes to its own network, and this is {carrier}'s.",
            base=term(base),
            carrier=term(carrier),
        )
    if channel.operator != base:
        whose = (
            phrase("it is one of {operator}", operator=term(channel.operator))
            if channel.operator
            else phrase("it is none, or nobody said")
        )
        return phrase(
            "A subscriber base of {base} goes over this carrier's own gateways alone,"
            " which `operated_by` of a channel says: {whose}.",
            base=term(base),
            whose=whose,
        )
    return None


def explain(
    channels: Iterable[RoutableChannel],
    number: RoutedNumber,
    chosen: Collection[int] | None,
    base: str | None = None,
) -> tuple[list[RouteVerdict], RoutableChannel | None]:
    """What is said of each channel for a number, in the order given, and the channel it takes."""
    known = list(channels)
    first = best_channel(known, number, chosen, base)
    verdicts = []
    for channel in known:
        why_not = obstacle(channel, number, chosen, base)
        reason = why_not or _ranking_reason(channel, number.carrier, first)
        verdicts.append(RouteVerdict(channel, why_not is None, reason))
    return verdicts, first


def _ranking_reason(
    channel: RoutableChannel, carrier: str | None, first: RoutableChannel | None
) -> str:
    """Why a channel that can take the number comes first, or why another one comes before it."""
    serves = (
        phrase("It serves {carrier}", carrier=term(carrier or ""))
        if channel.serves(carrier)
        else phrase("It takes all networks")
    )
    reason = phrase(
        "{serves}, rank {rank}{held}{open}",
        serves=serves,
        rank=channel.rank,
        held=phrase(", and is held for now") if channel.held else "",
        open=phrase(", and was found not to work for now") if channel.open else "",
    )
    if first is None or first.id == channel.id:
        return phrase("{reason}: it comes first.", reason=reason)
    if channel.open and not first.open:
        return phrase(
            "{reason}: {first} comes before it, which works.",
            reason=reason,
            first=first.name,
        )
    if first.serves(carrier) and not channel.serves(carrier):
        return phrase(
            "{reason}: {first} comes before it, as a channel of the carrier's own.",
            reason=reason,
            first=first.name,
        )
    if channel.held and not first.held:
        return phrase(
            "{reason}: {first} comes before it, which is not held.",
            reason=reason,
            first=first.name,
        )
    return phrase(
        "{reason}: {first} comes before it by rank, as the more dedicated, or as the older.",
        reason=reason,
        first=first.name,
    )


def failover_channels(
    channels: Iterable[RoutableChannel],
    channel: RoutableChannel,
    carriers: Iterable[str],
    chosen: Collection[int] | None,
) -> dict[str, int]:
    """For each of these carriers the channel that its numbers take while `channel` does not work.

    Only channels that work and are not held; a carrier without one is missing: its texts wait.
    """
    working = [
        other for other in channels if other.id != channel.id and not (other.open or other.held)
    ]
    found = {c: best_channel(working, RoutedNumber(c, channel.simulated), chosen) for c in carriers}
    return {carrier: other.id for carrier, other in found.items() if other is not None}


def covers(other: RoutableChannel, channel: RoutableChannel) -> bool:
    """Whether another channel, as it is now, could take all numbers that this one takes."""
    if other.id == channel.id or other.open or other.held or not other.enabled or other.by_list:
        return False
    if other.simulated != channel.simulated:
        return False
    return not other.on_net_only or (
        channel.on_net_only and set(channel.carriers) <= set(other.carriers)
    )


def second_channel(
    channels: Iterable[RoutableChannel],
    first_id: int,
    known: str | None,
    chosen: Collection[int] | None,
) -> RoutableChannel | None:
    """The channel for a text whose first channel says that the number is of another network.

    `known`: the carrier that an override names. Its channels come first, if the first channel is
    not one of them; then those that take all networks; then those of carriers that the first
    channel does not serve, since one of these may be right. None: there is no other channel.
    """
    table = {channel.id: channel for channel in channels}
    first = table.get(first_id)
    if first is None:
        return None
    places = [
        (place, channel)
        for channel in table.values()
        if channel.id != first.id
        and channel.enabled
        and not channel.by_list
        and channel.simulated == first.simulated
        and (chosen is None or channel.id in chosen)
        and (place := _place(channel, first, known)) is not None
    ]
    return min(places, key=lambda found: _order(found[1], found[0]), default=(0, None))[1]


def _place(channel: RoutableChannel, first: RoutableChannel, known: str | None) -> int | None:
    """How promising a channel is after `first`, 0 the most; None: it would say the same."""
    if channel.serves(known) and not first.serves(known):
        return 0
    if not channel.on_net_only:
        return 1
    return 2 if set(channel.carriers) - set(first.carriers) else None


def _order(channel: RoutableChannel, place: int) -> tuple[int, bool, bool, int, int, int]:
    """Channels in the order of choice: lower rank, then dedicated to fewer carriers, then older."""
    return place, channel.open, channel.held, channel.rank, len(channel.carriers), channel.id
