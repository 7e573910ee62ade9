"""Which channel a number takes: a table of channels and numbers a case."""

from dataclasses import replace
from typing import Any

import pytest

from service.audience.vocabulary.choices import CARRIERS
from service.channels.contract.model import operator_of
from service.channels.routing.route import (
    RoutableChannel,
    RoutedNumber,
    best_channel,
    covers,
    explain,
    failover_channels,
    obstacle,
    routes,
    second_channel,
)

MOBILE, UNICOM, TELECOM, BROADNET = CARRIERS
SYNTHETIC = RoutedNumber(MOBILE, synthetic=True)


def channel(number: int, *carriers: str, **more: Any) -> RoutableChannel:
    """An enabled, simulated channel of these carriers' own numbers, called channel-1 and so on."""
    usual = {"simulated": True, "enabled": True, "on_net_only": True, "rank": 100}
    return RoutableChannel(
        id=number, name=f"channel-{number}", carriers=carriers, **{**usual, **more}
    )


EVERYBODY = channel(9, *CARRIERS, on_net_only=False)

CHOICES = [
    ("the only one", [channel(1, MOBILE)], MOBILE, None, 1),
    ("nobody's", [channel(1, MOBILE)], UNICOM, None, None),
    ("an unknown carrier's", [channel(1, MOBILE), channel(2, on_net_only=False)], None, None, None),
    (
        "own channel before a fallback",
        [channel(1, UNICOM, on_net_only=False), channel(2, MOBILE)],
        MOBILE,
        None,
        2,
    ),
    (
        "own channel before a fallback of lower rank",
        [channel(1, UNICOM, on_net_only=False, rank=1), channel(2, MOBILE)],
        MOBILE,
        None,
        2,
    ),
    ("lower rank first", [channel(1, MOBILE), channel(2, MOBILE, rank=99)], MOBILE, None, 2),
    (
        "lower rank before fewer carriers",
        [channel(1, MOBILE), channel(2, *CARRIERS, rank=99)],
        MOBILE,
        None,
        2,
    ),
    ("fewer carriers next", [channel(1, MOBILE, BROADNET), channel(2, MOBILE)], MOBILE, None, 2),
    ("then the older", [channel(2, MOBILE), channel(1, MOBILE)], MOBILE, None, 1),
    (
        "a fallback takes what nobody serves",
        [channel(1, MOBILE), channel(2, MOBILE, on_net_only=False)],
        TELECOM,
        None,
        2,
    ),
    (
        "the fallback of lower rank",
        [channel(1, on_net_only=False), channel(2, on_net_only=False, rank=1)],
        TELECOM,
        None,
        2,
    ),
    (
        "a disabled one never",
        [channel(1, MOBILE, enabled=False), channel(2, MOBILE, rank=500)],
        MOBILE,
        None,
        2,
    ),
    ("only the chosen", [channel(1, MOBILE), channel(2, MOBILE, rank=500)], MOBILE, [2], 2),
    ("none of the chosen", [channel(1, MOBILE)], MOBILE, [], None),
    (
        "never a real one for a synthetic number",
        [channel(1, MOBILE, simulated=False)],
        MOBILE,
        None,
        None,
    ),
    ("a held one, if it is the only one", [channel(1, MOBILE, held=True)], MOBILE, None, 1),
    ("a held one before a fallback", [channel(1, MOBILE, held=True), EVERYBODY], UNICOM, None, 9),
    (
        "one that is not held before one that is",
        [channel(1, MOBILE, held=True), channel(2, MOBILE, rank=500)],
        MOBILE,
        None,
        2,
    ),
    (
        "an own channel on hold before a foreign fallback",
        [channel(1, MOBILE, held=True), channel(2, UNICOM, on_net_only=False)],
        MOBILE,
        None,
        1,
    ),
    (
        "one that does not work, if it is the only one",
        [channel(1, MOBILE, open=True)],
        MOBILE,
        None,
        1,
    ),
    (
        "a foreign fallback before an own channel that does not work",
        [channel(1, MOBILE, open=True), channel(2, UNICOM, on_net_only=False)],
        MOBILE,
        None,
        2,
    ),
    (
        "one on hold before one that does not work",
        [channel(1, MOBILE, open=True), channel(2, MOBILE, held=True)],
        MOBILE,
        None,
        2,
    ),
]


@pytest.mark.parametrize(
    ("channels", "carrier", "chosen", "expected"),
    [case[1:] for case in CHOICES],
    ids=[case[0] for case in CHOICES],
)
def test_the_channel_of_a_synthetic_number(
    channels: list[RoutableChannel],
    carrier: str | None,
    chosen: list[int] | None,
    expected: int | None,
) -> None:
    number = RoutedNumber(carrier, synthetic=True)
    found = best_channel(channels, number, chosen)
    assert (found.id if found else None) == expected
    backwards = best_channel(reversed(channels), number, chosen)
    assert backwards == found, "the order of the table must not matter"


def test_synthetic_numbers_and_others_have_routes_of_their_own() -> None:
    channels = [channel(1, MOBILE), channel(2, MOBILE, UNICOM, simulated=False)]
    found = {(route.carrier, route.simulated): route.channel_id for route in routes(channels, None)}
    assert found == {(MOBILE, True): 1, (MOBILE, False): 2, (UNICOM, False): 2}


def test_a_fallback_has_a_route_for_every_carrier() -> None:
    found = routes([channel(1, MOBILE), channel(2, on_net_only=False)], None)
    assert {route.carrier: route.channel_id for route in found} == {
        MOBILE: 1,
        UNICOM: 2,
        TELECOM: 2,
        BROADNET: 2,
    }


def test_a_campaigns_own_list_limits_its_routes() -> None:
    channels = [channel(1, MOBILE), channel(2, on_net_only=False)]
    assert {route.channel_id for route in routes(channels, [2])} == {2}
    assert routes(channels, [3]) == []


def test_routes_may_be_asked_for_some_carriers_only() -> None:
    channels = [channel(1, MOBILE), channel(2, on_net_only=False)]
    found = [
        (route.carrier, route.channel_id) for route in routes(channels, None, {UNICOM, "none"})
    ]
    assert found == [(UNICOM, 2)]


OBSTACLES = [
    (channel(1, MOBILE, enabled=False), SYNTHETIC, None, "switched off"),
    (channel(1, MOBILE), SYNTHETIC, [2], "chosen"),
    (channel(1, MOBILE, simulated=False), SYNTHETIC, None, "real"),
    (channel(1, MOBILE), RoutedNumber(MOBILE, synthetic=False), None, "simulated"),
    (channel(1, MOBILE), RoutedNumber(None, synthetic=True), None, "No carrier is known"),
    (
        channel(1, UNICOM, TELECOM),
        SYNTHETIC,
        None,
        "only numbers of china_unicom and china_telecom",
    ),
]


@pytest.mark.parametrize(("one", "number", "chosen", "words"), OBSTACLES)
def test_what_keeps_a_channel_out_is_said(
    one: RoutableChannel, number: RoutedNumber, chosen: list[int] | None, words: str
) -> None:
    said = obstacle(one, number, chosen)
    assert said is not None
    assert words in said
    verdicts, first = explain([one], number, chosen)
    assert (verdicts[0].eligible, verdicts[0].reason, first) == (False, said, None)


def test_every_channel_is_explained_and_the_best_one_named() -> None:
    channels = [
        channel(1, MOBILE, rank=200),
        channel(2, MOBILE),
        channel(3, MOBILE, held=True, rank=1),
        EVERYBODY,
        channel(5, UNICOM, on_net_only=False),
        channel(6, UNICOM),
    ]
    verdicts, first = explain(channels, SYNTHETIC, None)
    assert first == channels[1]
    said = {verdict.channel.id: verdict.reason for verdict in verdicts}
    assert said == {
        1: "It serves china_mobile, rank 200: channel-2 comes before it by rank, as the more "
        "dedicated, or as the older.",
        2: "It serves china_mobile, rank 100: it comes first.",
        3: "It serves china_mobile, rank 1, and is held for now: channel-2 comes before it, which "
        "is not held.",
        9: "It serves china_mobile, rank 100: channel-2 comes before it by rank, as the more "
        "dedicated, or as the older.",
        5: "It takes all networks, rank 100: channel-2 comes before it, as a channel of the "
        "carrier's own.",
        6: "The channel takes only numbers of china_unicom.",
    }
    assert [verdict.eligible for verdict in verdicts] == [True] * 5 + [False]


def test_the_explanation_and_the_choice_never_differ() -> None:
    channels = [
        channel(
            n, *carriers, on_net_only=n % 2 == 0, enabled=n % 5 > 0, held=n % 3 == 0, rank=n % 4
        )
        for n, carriers in enumerate([(MOBILE,), (UNICOM, TELECOM), CARRIERS, ()] * 6)
    ]
    channels = [replace(one, open=one.id % 7 > 3) for one in channels]
    for carrier in (*CARRIERS, None):
        for chosen in (None, [1, 2, 3, 6], []):
            number = RoutedNumber(carrier, synthetic=True)
            verdicts, first = explain(channels, number, chosen)
            assert first == best_channel(channels, number, chosen)
            assert (first is not None) == any(verdict.eligible for verdict in verdicts)
            assert sum("it comes first" in verdict.reason for verdict in verdicts) == (
                first is not None
            )


def test_a_channel_that_does_not_work_is_explained() -> None:
    channels = [channel(1, MOBILE, open=True), EVERYBODY]
    verdicts, first = explain(channels, SYNTHETIC, None)
    assert first == EVERYBODY
    assert verdicts[0].reason == (
        "It serves china_mobile, rank 100, and was found not to work for now: channel-9 comes "
        "before it, which works."
    )


ELSEWHERE = [
    ("nowhere", [], None, {}),
    ("another of the carrier", [channel(2, MOBILE)], None, {MOBILE: 2}),
    ("a fallback", [EVERYBODY], None, dict.fromkeys(CARRIERS, 9)),
    ("not on hold", [channel(2, MOBILE, held=True)], None, {}),
    ("not one that does not work either", [channel(2, MOBILE, open=True)], None, {}),
    ("not one that is switched off", [channel(2, MOBILE, enabled=False)], None, {}),
    ("not a real one", [channel(2, MOBILE, simulated=False)], None, {}),
    ("not one the campaign did not choose", [channel(2, MOBILE)], [1], {}),
    ("one the campaign chose", [channel(2, MOBILE), channel(3, MOBILE)], [1, 3], {MOBILE: 3}),
]


@pytest.mark.parametrize(
    ("others", "chosen", "expected"), [row[1:] for row in ELSEWHERE], ids=[r[0] for r in ELSEWHERE]
)
def test_where_texts_go_while_their_channel_does_not_work(
    others: list[RoutableChannel], chosen: list[int] | None, expected: dict[str, int]
) -> None:
    broken = channel(1, MOBILE, open=True)
    assert failover_channels([broken, *others], broken, CARRIERS, chosen) == expected
    switched_off = replace(broken, open=False, enabled=False)
    assert failover_channels([switched_off, *others], switched_off, CARRIERS, chosen) == expected


COVERS = [
    (channel(2, MOBILE, UNICOM), True),
    (channel(2, on_net_only=False), True),
    (channel(2, UNICOM), False),
    (channel(2, MOBILE, held=True), False),
    (channel(2, MOBILE, open=True), False),
    (channel(2, MOBILE, enabled=False), False),
    (channel(2, MOBILE, simulated=False), False),
    (channel(1, MOBILE), False),
]


@pytest.mark.parametrize(("other", "expected"), COVERS)
def test_whether_another_channel_can_take_all_of_one(
    other: RoutableChannel, expected: bool
) -> None:
    assert covers(other, channel(1, MOBILE)) == expected


def test_only_a_fallback_can_take_all_of_a_fallback() -> None:
    assert not covers(channel(2, MOBILE), channel(1, MOBILE, on_net_only=False))
    assert covers(channel(2, on_net_only=False), channel(1, MOBILE, on_net_only=False))


SECONDS = [
    ("no other", [channel(1, MOBILE)], None, None, None),
    (
        "another of the same carrier would say the same",
        [channel(1, MOBILE), channel(2, MOBILE)],
        None,
        None,
        None,
    ),
    ("another carrier's", [channel(1, MOBILE), channel(2, UNICOM)], None, None, 2),
    (
        "another carrier's of lower rank",
        [channel(1, MOBILE), channel(2, UNICOM), channel(3, TELECOM, rank=1)],
        None,
        None,
        3,
    ),
    (
        "a fallback before another carrier's",
        [channel(1, MOBILE), channel(2, UNICOM, rank=1), EVERYBODY],
        None,
        None,
        9,
    ),
    (
        "the carrier that is known by now, before all",
        [channel(1, MOBILE), channel(2, UNICOM), channel(3, TELECOM, rank=99), EVERYBODY],
        TELECOM,
        None,
        3,
    ),
    (
        "what is known is what the first one is",
        [channel(1, MOBILE), channel(2, UNICOM)],
        MOBILE,
        None,
        2,
    ),
    ("only the chosen", [channel(1, MOBILE), channel(2, UNICOM), EVERYBODY], None, [1, 2], 2),
    ("none of the chosen", [channel(1, MOBILE), channel(2, UNICOM)], None, [1], None),
    (
        "a disabled one never",
        [channel(1, MOBILE), channel(2, UNICOM, enabled=False)],
        None,
        None,
        None,
    ),
    (
        "a real one never after a simulated one",
        [channel(1, MOBILE), channel(2, UNICOM, simulated=False)],
        None,
        None,
        None,
    ),
    (
        "one that is not held first",
        [channel(1, MOBILE), channel(2, UNICOM, held=True), channel(3, TELECOM)],
        None,
        None,
        3,
    ),
    (
        "one that is held, if it is the only one",
        [channel(1, MOBILE), channel(2, UNICOM, held=True)],
        None,
        None,
        2,
    ),
    (
        "after a fallback, a carrier's own",
        [channel(1, MOBILE, on_net_only=False), channel(2, UNICOM)],
        None,
        None,
        2,
    ),
    (
        "a first one that is disabled by now",
        [channel(1, MOBILE, enabled=False), channel(2, UNICOM)],
        None,
        None,
        2,
    ),
    ("a first one that is gone", [channel(2, UNICOM)], None, None, None),
    (
        "the one that is known, though it does not work: there is one turn only",
        [channel(1, MOBILE), channel(2, UNICOM), channel(3, TELECOM, open=True)],
        TELECOM,
        None,
        3,
    ),
]


@pytest.mark.parametrize(
    ("channels", "known", "chosen", "expected"),
    [case[1:] for case in SECONDS],
    ids=[case[0] for case in SECONDS],
)
def test_the_second_channel_after_channel_1(
    channels: list[RoutableChannel],
    known: str | None,
    chosen: list[int] | None,
    expected: int | None,
) -> None:
    found = second_channel(channels, 1, known, chosen)
    assert (found.id if found else None) == expected


@pytest.mark.parametrize(
    ("channels", "carrier", "chosen", "wanted"),
    [
        ([channel(1, MOBILE, BROADNET, operator=MOBILE)], MOBILE, None, 1),
        ([channel(1, MOBILE, BROADNET, operator=MOBILE)], BROADNET, None, None),
        ([channel(1, MOBILE, BROADNET, operator=BROADNET)], MOBILE, None, None),
        ([channel(1, MOBILE, BROADNET)], MOBILE, None, None),
        ([channel(1, MOBILE)], MOBILE, None, None),
        ([channel(1, *CARRIERS, on_net_only=False, rank=1)], MOBILE, None, None),
        (
            [channel(1, MOBILE, operator=UNICOM, rank=1), channel(2, MOBILE, operator=MOBILE)],
            MOBILE,
            None,
            2,
        ),
        ([channel(1, MOBILE, operator=MOBILE)], MOBILE, [2], None),
        ([channel(1, UNICOM, on_net_only=False, operator=MOBILE)], UNICOM, None, None),
    ],
)
def test_a_subscriber_base_goes_over_its_carriers_gateways_to_its_own_network(
    channels: list[RoutableChannel], carrier: str, chosen: list[int] | None, wanted: int | None
) -> None:
    number = RoutedNumber(carrier, synthetic=True)
    verdicts, first = explain(channels, number, chosen, MOBILE)
    assert (first.id if first else None) == wanted
    assert [v.eligible for v in verdicts] == [one.id == wanted for one in channels]
    assert [r.channel_id for r in routes(channels, chosen, {carrier}, base=MOBILE)] == (
        [wanted] if wanted else []
    )


@pytest.mark.parametrize(
    ("kind", "carriers", "said", "operator"),
    [
        ("cmpp", [MOBILE], None, MOBILE),
        ("cmpp", [MOBILE, BROADNET], None, None),
        ("cmpp", [MOBILE, BROADNET], BROADNET, BROADNET),
        ("http", [MOBILE], None, None),
        ("twilio", [MOBILE], None, None),
        ("http", [MOBILE], MOBILE, MOBILE),
    ],
)
def test_whose_gateway_a_channel_leads_to(
    kind: str, carriers: list[str], said: str | None, operator: str | None
) -> None:
    assert operator_of(kind, carriers, said) == operator


LISTED = channel(5, MOBILE, by_list=True, operator=MOBILE, rank=1)


def test_only_a_carriers_own_base_leaves_as_a_list() -> None:
    assert best_channel([LISTED], SYNTHETIC, None) is None
    assert "list" in str(obstacle(LISTED, SYNTHETIC, None))
    assert best_channel([LISTED], SYNTHETIC, None, MOBILE) == LISTED


def test_a_list_waits_for_a_person_so_it_comes_last() -> None:
    own = channel(1, MOBILE, operator=MOBILE)
    assert best_channel([LISTED, own], SYNTHETIC, None, MOBILE) == own
    shut = replace(own, open=True)
    assert best_channel([LISTED, shut], SYNTHETIC, None, MOBILE) == shut
    assert best_channel([LISTED, own], SYNTHETIC, [LISTED.id], MOBILE) == LISTED


def test_nothing_moves_to_a_list_by_itself() -> None:
    own = channel(1, MOBILE, operator=MOBILE)
    assert failover_channels([LISTED, own], own, [MOBILE], None) == {}
    assert not covers(LISTED, own)
    assert second_channel([LISTED, own], own.id, MOBILE, None) is None
