"""Which channel carries which number, and why (pure).

The carrier that serves the number decides. The carrier's own channels come first, since a carrier
sends to its own subscribers. Channels that take other networks' numbers too come next, as a
fallback. A hold passes, so a held channel may still be chosen, after its equals that are not held.
A channel whose breaker is not closed probably does not work; it comes after all others, fallbacks
included.

A carrier's subscriber base (`base`: whose) goes over this carrier's own gateways alone, and to its
own network alone: the carrier has these numbers for its own duty (Anti-Telecom and Online Fraud
Law, article 30), and nobody outside it may see them.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import product

from service.audience.vocabulary.choices import CARRIERS


@dataclass(frozen=True, slots=True)
class RoutableChannel:
    """What of a channel decides who goes over it; the fields are those of ChannelSettings.

    held: whether its carrier said that nothing may be sent for now.
    open: whether its breaker is open or half open: it was found not to work.
    operator: the carrier whose gateway it leads to; None: of none, or it is not known.
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

    def serves(self, carrier: str | None) -> bool:
        """Whether a carrier's subscribers are this lane's own."""
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
    """What is said of one lane for one number; the reason is a sentence."""

    lane: RoutableChannel
    eligible: bool
    reason: str


_OTHER_NUMBERS = {
    False: "The channel is real and refuses the synthetic ranges.",
    True: "The channel is simulated and takes the synthetic ranges only.",
}


def routes(
    lanes: Iterable[RoutableChannel],
    chosen: Collection[int] | None,
    only: Collection[str] | None = None,
    *,
    base: str | None = None,
) -> list[Route]:
    """The channel for each carrier's numbers, synthetic ones and others apart.

    `chosen`: the campaign's own list of channels; None leaves the choice open. `only`: the carriers
    that are asked for; None: all. `base`: the carrier whose subscriber base the people are; None:
    nobody's. A carrier that no lane takes has no route: its people are excluded, with that reason.
    """
    known = list(lanes)
    carriers = {*CARRIERS, *(carrier for lane in known for carrier in lane.carriers)}
    if only is not None:
        carriers.intersection_update(only)
    found = []
    for carrier, synthetic in product(sorted(carriers), (False, True)):
        lane = best(known, RoutedNumber(carrier, synthetic), chosen, base)
        if lane is not None:
            found.append(Route(carrier, lane.id, synthetic))
    return found


def best(
    lanes: Iterable[RoutableChannel],
    number: RoutedNumber,
    chosen: Collection[int] | None,
    base: str | None = None,
) -> RoutableChannel | None:
    """The lane that a number takes; None: there is none for it."""
    able = [lane for lane in lanes if obstacle(lane, number, chosen, base) is None]

    def order(lane: RoutableChannel) -> tuple[bool | int, ...]:
        return lane.open, *_order(lane, not lane.serves(number.carrier))

    return min(able, key=order, default=None)


def obstacle(
    lane: RoutableChannel,
    number: RoutedNumber,
    chosen: Collection[int] | None,
    base: str | None = None,
) -> str | None:
    """Why a lane cannot take a number, as a sentence; None: it can."""
    if not lane.enabled:
        return "The channel is switched off."
    if chosen is not None and lane.id not in chosen:
        return "The channel is not among those that were chosen."
    if lane.simulated != number.synthetic:
        return _OTHER_NUMBERS[lane.simulated]
    if number.carrier is None:
        return "No carrier is known for the number."
    if lane.on_net_only and not lane.serves(number.carrier):
        return f"The channel takes only numbers of {' and '.join(lane.carriers)}."
    return _not_for_base(lane, number.carrier, base) if base is not None else None


def _not_for_base(lane: RoutableChannel, carrier: str, base: str) -> str | None:
    if carrier != base:
        return f"A subscriber base of {base} goes to its own network, and this is {carrier}'s."
    if lane.operator != base:
        whose = f"it is one of {lane.operator}" if lane.operator else "it is none, or nobody said"
        return (
            f"A subscriber base of {base} goes over this carrier's own gateways alone, which"
            f" `operated_by` of a channel says: {whose}."
        )
    return None


def explain(
    lanes: Iterable[RoutableChannel],
    number: RoutedNumber,
    chosen: Collection[int] | None,
    base: str | None = None,
) -> tuple[list[RouteVerdict], RoutableChannel | None]:
    """What is said of each lane for a number, in the order given, and the lane it takes."""
    known = list(lanes)
    first = best(known, number, chosen, base)
    verdicts = []
    for lane in known:
        why_not = obstacle(lane, number, chosen, base)
        reason = why_not or _merit(lane, number.carrier, first)
        verdicts.append(RouteVerdict(lane, why_not is None, reason))
    return verdicts, first


def _merit(lane: RoutableChannel, carrier: str | None, first: RoutableChannel | None) -> str:
    """What speaks for a lane that could take the number, and why another may come before it."""
    merit = f"It serves {carrier}" if lane.serves(carrier) else "It takes all networks"
    merit += f", rank {lane.rank}" + (", and is held for now" if lane.held else "")
    merit += ", and was found not to work for now" if lane.open else ""
    if first is None or first.id == lane.id:
        return f"{merit}: it comes first."
    if lane.open and not first.open:
        return f"{merit}: {first.name} comes before it, which works."
    if first.serves(carrier) and not lane.serves(carrier):
        return f"{merit}: {first.name} comes before it, as a channel of the carrier's own."
    if lane.held and not first.held:
        return f"{merit}: {first.name} comes before it, which is not held."
    return f"{merit}: {first.name} comes before it by rank, as the more dedicated, or as the older."


def elsewhere(
    lanes: Iterable[RoutableChannel],
    lane: RoutableChannel,
    carriers: Iterable[str],
    chosen: Collection[int] | None,
) -> dict[str, int]:
    """For each of these carriers the lane that its numbers take while `lane` does not work.

    Only lanes that work and are not held; a carrier without one is missing: its texts wait.
    """
    working = [other for other in lanes if other.id != lane.id and not (other.open or other.held)]
    ways = {c: best(working, RoutedNumber(c, lane.simulated), chosen) for c in carriers}
    return {carrier: way.id for carrier, way in ways.items() if way is not None}


def covers(other: RoutableChannel, lane: RoutableChannel) -> bool:
    """Whether another lane, as it is now, could take all numbers that this one takes."""
    if other.id == lane.id or other.open or other.held or not other.enabled:
        return False
    if other.simulated != lane.simulated:
        return False
    return not other.on_net_only or (lane.on_net_only and set(lane.carriers) <= set(other.carriers))


def second(
    lanes: Iterable[RoutableChannel],
    first_id: int,
    known: str | None,
    chosen: Collection[int] | None,
) -> RoutableChannel | None:
    """The channel for a text whose first channel says that the number is of another network.

    `known`: the carrier that an override names. Its channels come first, if the first channel is
    not one of them; then those that take all networks; then those of carriers that the first
    channel does not serve, since one of these may be right. None: there is no other channel.
    """
    table = {lane.id: lane for lane in lanes}
    first = table.get(first_id)
    if first is None:
        return None
    places = [
        (place, lane)
        for lane in table.values()
        if lane.id != first.id
        and lane.enabled
        and lane.simulated == first.simulated
        and (chosen is None or lane.id in chosen)
        and (place := _place(lane, first, known)) is not None
    ]
    return min(places, key=lambda found: _order(found[1], found[0]), default=(0, None))[1]


def _place(lane: RoutableChannel, first: RoutableChannel, known: str | None) -> int | None:
    """How promising a lane is after `first`, 0 the most; None: it would say the same."""
    if lane.serves(known) and not first.serves(known):
        return 0
    if not lane.on_net_only:
        return 1
    return 2 if set(lane.carriers) - set(first.carriers) else None


def _order(lane: RoutableChannel, place: int) -> tuple[int, bool, bool, int, int, int]:
    """Lanes in the order of choice: lower rank, then dedicated to fewer carriers, then older."""
    return place, lane.open, lane.held, lane.rank, len(lane.carriers), lane.id
