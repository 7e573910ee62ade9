"""Which lane a number takes: a table of lanes and numbers a case."""

from dataclasses import replace
from typing import Any

import pytest

from service.audience.vocabulary.choices import CARRIERS
from service.channels.contract.model import operator_of
from service.channels.routing.route import (
    RoutableChannel,
    RoutedNumber,
    best,
    covers,
    elsewhere,
    explain,
    obstacle,
    routes,
    second,
)

MOBILE, UNICOM, TELECOM, BROADNET = CARRIERS
SYNTHETIC = RoutedNumber(MOBILE, synthetic=True)


def lane(number: int, *carriers: str, **more: Any) -> RoutableChannel:
    """An enabled, simulated lane of these carriers' own numbers, called lane-1 and so on."""
    usual = {"simulated": True, "enabled": True, "on_net_only": True, "rank": 100}
    return RoutableChannel(id=number, name=f"lane-{number}", carriers=carriers, **{**usual, **more})


EVERYBODY = lane(9, *CARRIERS, on_net_only=False)

CHOICES = [
    ("the only one", [lane(1, MOBILE)], MOBILE, None, 1),
    ("nobody's", [lane(1, MOBILE)], UNICOM, None, None),
    ("an unknown carrier's", [lane(1, MOBILE), lane(2, on_net_only=False)], None, None, None),
    (
        "own lane before a fallback",
        [lane(1, UNICOM, on_net_only=False), lane(2, MOBILE)],
        MOBILE,
        None,
        2,
    ),
    (
        "own lane before a fallback of lower rank",
        [lane(1, UNICOM, on_net_only=False, rank=1), lane(2, MOBILE)],
        MOBILE,
        None,
        2,
    ),
    ("lower rank first", [lane(1, MOBILE), lane(2, MOBILE, rank=99)], MOBILE, None, 2),
    (
        "lower rank before fewer carriers",
        [lane(1, MOBILE), lane(2, *CARRIERS, rank=99)],
        MOBILE,
        None,
        2,
    ),
    ("fewer carriers next", [lane(1, MOBILE, BROADNET), lane(2, MOBILE)], MOBILE, None, 2),
    ("then the older", [lane(2, MOBILE), lane(1, MOBILE)], MOBILE, None, 1),
    (
        "a fallback takes what nobody serves",
        [lane(1, MOBILE), lane(2, MOBILE, on_net_only=False)],
        TELECOM,
        None,
        2,
    ),
    (
        "the fallback of lower rank",
        [lane(1, on_net_only=False), lane(2, on_net_only=False, rank=1)],
        TELECOM,
        None,
        2,
    ),
    (
        "a disabled one never",
        [lane(1, MOBILE, enabled=False), lane(2, MOBILE, rank=500)],
        MOBILE,
        None,
        2,
    ),
    ("only the chosen", [lane(1, MOBILE), lane(2, MOBILE, rank=500)], MOBILE, [2], 2),
    ("none of the chosen", [lane(1, MOBILE)], MOBILE, [], None),
    (
        "never a real one for a synthetic number",
        [lane(1, MOBILE, simulated=False)],
        MOBILE,
        None,
        None,
    ),
    ("a held one, if it is the only one", [lane(1, MOBILE, held=True)], MOBILE, None, 1),
    ("a held one before a fallback", [lane(1, MOBILE, held=True), EVERYBODY], UNICOM, None, 9),
    (
        "one that is not held before one that is",
        [lane(1, MOBILE, held=True), lane(2, MOBILE, rank=500)],
        MOBILE,
        None,
        2,
    ),
    (
        "an own lane on hold before a foreign fallback",
        [lane(1, MOBILE, held=True), lane(2, UNICOM, on_net_only=False)],
        MOBILE,
        None,
        1,
    ),
    (
        "one that does not work, if it is the only one",
        [lane(1, MOBILE, open=True)],
        MOBILE,
        None,
        1,
    ),
    (
        "a foreign fallback before an own lane that does not work",
        [lane(1, MOBILE, open=True), lane(2, UNICOM, on_net_only=False)],
        MOBILE,
        None,
        2,
    ),
    (
        "one on hold before one that does not work",
        [lane(1, MOBILE, open=True), lane(2, MOBILE, held=True)],
        MOBILE,
        None,
        2,
    ),
]


@pytest.mark.parametrize(
    ("lanes", "carrier", "chosen", "expected"),
    [case[1:] for case in CHOICES],
    ids=[case[0] for case in CHOICES],
)
def test_the_lane_of_a_synthetic_number(
    lanes: list[RoutableChannel],
    carrier: str | None,
    chosen: list[int] | None,
    expected: int | None,
) -> None:
    number = RoutedNumber(carrier, synthetic=True)
    found = best(lanes, number, chosen)
    assert (found.id if found else None) == expected
    backwards = best(reversed(lanes), number, chosen)
    assert backwards == found, "the order of the table must not matter"


def test_synthetic_numbers_and_others_have_routes_of_their_own() -> None:
    lanes = [lane(1, MOBILE), lane(2, MOBILE, UNICOM, simulated=False)]
    found = {(route.carrier, route.simulated): route.channel_id for route in routes(lanes, None)}
    assert found == {(MOBILE, True): 1, (MOBILE, False): 2, (UNICOM, False): 2}


def test_a_fallback_has_a_route_for_every_carrier() -> None:
    found = routes([lane(1, MOBILE), lane(2, on_net_only=False)], None)
    assert {route.carrier: route.channel_id for route in found} == {
        MOBILE: 1,
        UNICOM: 2,
        TELECOM: 2,
        BROADNET: 2,
    }


def test_a_campaigns_own_list_limits_its_routes() -> None:
    lanes = [lane(1, MOBILE), lane(2, on_net_only=False)]
    assert {route.channel_id for route in routes(lanes, [2])} == {2}
    assert routes(lanes, [3]) == []


def test_routes_may_be_asked_for_some_carriers_only() -> None:
    lanes = [lane(1, MOBILE), lane(2, on_net_only=False)]
    found = [(route.carrier, route.channel_id) for route in routes(lanes, None, {UNICOM, "none"})]
    assert found == [(UNICOM, 2)]


OBSTACLES = [
    (lane(1, MOBILE, enabled=False), SYNTHETIC, None, "switched off"),
    (lane(1, MOBILE), SYNTHETIC, [2], "chosen"),
    (lane(1, MOBILE, simulated=False), SYNTHETIC, None, "real"),
    (lane(1, MOBILE), RoutedNumber(MOBILE, synthetic=False), None, "simulated"),
    (lane(1, MOBILE), RoutedNumber(None, synthetic=True), None, "No carrier is known"),
    (lane(1, UNICOM, TELECOM), SYNTHETIC, None, "only numbers of china_unicom and china_telecom"),
]


@pytest.mark.parametrize(("one", "number", "chosen", "words"), OBSTACLES)
def test_what_keeps_a_lane_out_is_said(
    one: RoutableChannel, number: RoutedNumber, chosen: list[int] | None, words: str
) -> None:
    said = obstacle(one, number, chosen)
    assert said is not None
    assert words in said
    verdicts, first = explain([one], number, chosen)
    assert (verdicts[0].eligible, verdicts[0].reason, first) == (False, said, None)


def test_every_lane_is_explained_and_the_best_one_named() -> None:
    lanes = [
        lane(1, MOBILE, rank=200),
        lane(2, MOBILE),
        lane(3, MOBILE, held=True, rank=1),
        EVERYBODY,
        lane(5, UNICOM, on_net_only=False),
        lane(6, UNICOM),
    ]
    verdicts, first = explain(lanes, SYNTHETIC, None)
    assert first == lanes[1]
    said = {verdict.lane.id: verdict.reason for verdict in verdicts}
    assert said == {
        1: "It serves china_mobile, rank 200: lane-2 comes before it by rank, as the more "
        "dedicated, or as the older.",
        2: "It serves china_mobile, rank 100: it comes first.",
        3: "It serves china_mobile, rank 1, and is held for now: lane-2 comes before it, which is "
        "not held.",
        9: "It serves china_mobile, rank 100: lane-2 comes before it by rank, as the more "
        "dedicated, or as the older.",
        5: "It takes all networks, rank 100: lane-2 comes before it, as a channel of the "
        "carrier's own.",
        6: "The channel takes only numbers of china_unicom.",
    }
    assert [verdict.eligible for verdict in verdicts] == [True] * 5 + [False]


def test_the_explanation_and_the_choice_never_differ() -> None:
    lanes = [
        lane(n, *carriers, on_net_only=n % 2 == 0, enabled=n % 5 > 0, held=n % 3 == 0, rank=n % 4)
        for n, carriers in enumerate([(MOBILE,), (UNICOM, TELECOM), CARRIERS, ()] * 6)
    ]
    lanes = [replace(one, open=one.id % 7 > 3) for one in lanes]
    for carrier in (*CARRIERS, None):
        for chosen in (None, [1, 2, 3, 6], []):
            number = RoutedNumber(carrier, synthetic=True)
            verdicts, first = explain(lanes, number, chosen)
            assert first == best(lanes, number, chosen)
            assert (first is not None) == any(verdict.eligible for verdict in verdicts)
            assert sum("it comes first" in verdict.reason for verdict in verdicts) == (
                first is not None
            )


def test_a_lane_that_does_not_work_is_explained() -> None:
    lanes = [lane(1, MOBILE, open=True), EVERYBODY]
    verdicts, first = explain(lanes, SYNTHETIC, None)
    assert first == EVERYBODY
    assert verdicts[0].reason == (
        "It serves china_mobile, rank 100, and was found not to work for now: lane-9 comes before "
        "it, which works."
    )


ELSEWHERE = [
    ("nowhere", [], None, {}),
    ("another of the carrier", [lane(2, MOBILE)], None, {MOBILE: 2}),
    ("a fallback", [EVERYBODY], None, dict.fromkeys(CARRIERS, 9)),
    ("not on hold", [lane(2, MOBILE, held=True)], None, {}),
    ("not one that does not work either", [lane(2, MOBILE, open=True)], None, {}),
    ("not one that is switched off", [lane(2, MOBILE, enabled=False)], None, {}),
    ("not a real one", [lane(2, MOBILE, simulated=False)], None, {}),
    ("not one the campaign did not choose", [lane(2, MOBILE)], [1], {}),
    ("one the campaign chose", [lane(2, MOBILE), lane(3, MOBILE)], [1, 3], {MOBILE: 3}),
]


@pytest.mark.parametrize(
    ("others", "chosen", "expected"), [row[1:] for row in ELSEWHERE], ids=[r[0] for r in ELSEWHERE]
)
def test_where_texts_go_while_their_lane_does_not_work(
    others: list[RoutableChannel], chosen: list[int] | None, expected: dict[str, int]
) -> None:
    broken = lane(1, MOBILE, open=True)
    assert elsewhere([broken, *others], broken, CARRIERS, chosen) == expected
    switched_off = replace(broken, open=False, enabled=False)
    assert elsewhere([switched_off, *others], switched_off, CARRIERS, chosen) == expected


COVERS = [
    (lane(2, MOBILE, UNICOM), True),
    (lane(2, on_net_only=False), True),
    (lane(2, UNICOM), False),
    (lane(2, MOBILE, held=True), False),
    (lane(2, MOBILE, open=True), False),
    (lane(2, MOBILE, enabled=False), False),
    (lane(2, MOBILE, simulated=False), False),
    (lane(1, MOBILE), False),
]


@pytest.mark.parametrize(("other", "expected"), COVERS)
def test_whether_another_lane_can_take_all_of_one(other: RoutableChannel, expected: bool) -> None:
    assert covers(other, lane(1, MOBILE)) == expected


def test_only_a_fallback_can_take_all_of_a_fallback() -> None:
    assert not covers(lane(2, MOBILE), lane(1, MOBILE, on_net_only=False))
    assert covers(lane(2, on_net_only=False), lane(1, MOBILE, on_net_only=False))


SECONDS = [
    ("no other", [lane(1, MOBILE)], None, None, None),
    (
        "another of the same carrier would say the same",
        [lane(1, MOBILE), lane(2, MOBILE)],
        None,
        None,
        None,
    ),
    ("another carrier's", [lane(1, MOBILE), lane(2, UNICOM)], None, None, 2),
    (
        "another carrier's of lower rank",
        [lane(1, MOBILE), lane(2, UNICOM), lane(3, TELECOM, rank=1)],
        None,
        None,
        3,
    ),
    (
        "a fallback before another carrier's",
        [lane(1, MOBILE), lane(2, UNICOM, rank=1), EVERYBODY],
        None,
        None,
        9,
    ),
    (
        "the carrier that is known by now, before all",
        [lane(1, MOBILE), lane(2, UNICOM), lane(3, TELECOM, rank=99), EVERYBODY],
        TELECOM,
        None,
        3,
    ),
    ("what is known is what the first one is", [lane(1, MOBILE), lane(2, UNICOM)], MOBILE, None, 2),
    ("only the chosen", [lane(1, MOBILE), lane(2, UNICOM), EVERYBODY], None, [1, 2], 2),
    ("none of the chosen", [lane(1, MOBILE), lane(2, UNICOM)], None, [1], None),
    ("a disabled one never", [lane(1, MOBILE), lane(2, UNICOM, enabled=False)], None, None, None),
    (
        "a real one never after a simulated one",
        [lane(1, MOBILE), lane(2, UNICOM, simulated=False)],
        None,
        None,
        None,
    ),
    (
        "one that is not held first",
        [lane(1, MOBILE), lane(2, UNICOM, held=True), lane(3, TELECOM)],
        None,
        None,
        3,
    ),
    (
        "one that is held, if it is the only one",
        [lane(1, MOBILE), lane(2, UNICOM, held=True)],
        None,
        None,
        2,
    ),
    (
        "after a fallback, a carrier's own",
        [lane(1, MOBILE, on_net_only=False), lane(2, UNICOM)],
        None,
        None,
        2,
    ),
    (
        "a first one that is disabled by now",
        [lane(1, MOBILE, enabled=False), lane(2, UNICOM)],
        None,
        None,
        2,
    ),
    ("a first one that is gone", [lane(2, UNICOM)], None, None, None),
    (
        "the one that is known, though it does not work: there is one turn only",
        [lane(1, MOBILE), lane(2, UNICOM), lane(3, TELECOM, open=True)],
        TELECOM,
        None,
        3,
    ),
]


@pytest.mark.parametrize(
    ("lanes", "known", "chosen", "expected"),
    [case[1:] for case in SECONDS],
    ids=[case[0] for case in SECONDS],
)
def test_the_second_lane_after_lane_1(
    lanes: list[RoutableChannel], known: str | None, chosen: list[int] | None, expected: int | None
) -> None:
    found = second(lanes, 1, known, chosen)
    assert (found.id if found else None) == expected


@pytest.mark.parametrize(
    ("lanes", "carrier", "chosen", "wanted"),
    [
        ([lane(1, MOBILE, BROADNET, operator=MOBILE)], MOBILE, None, 1),
        ([lane(1, MOBILE, BROADNET, operator=MOBILE)], BROADNET, None, None),
        ([lane(1, MOBILE, BROADNET, operator=BROADNET)], MOBILE, None, None),
        ([lane(1, MOBILE, BROADNET)], MOBILE, None, None),
        ([lane(1, MOBILE)], MOBILE, None, None),
        ([lane(1, *CARRIERS, on_net_only=False, rank=1)], MOBILE, None, None),
        (
            [lane(1, MOBILE, operator=UNICOM, rank=1), lane(2, MOBILE, operator=MOBILE)],
            MOBILE,
            None,
            2,
        ),
        ([lane(1, MOBILE, operator=MOBILE)], MOBILE, [2], None),
        ([lane(1, UNICOM, on_net_only=False, operator=MOBILE)], UNICOM, None, None),
    ],
)
def test_a_subscriber_base_goes_over_its_carriers_gateways_to_its_own_network(
    lanes: list[RoutableChannel], carrier: str, chosen: list[int] | None, wanted: int | None
) -> None:
    number = RoutedNumber(carrier, synthetic=True)
    verdicts, first = explain(lanes, number, chosen, MOBILE)
    assert (first.id if first else None) == wanted
    assert [v.eligible for v in verdicts] == [one.id == wanted for one in lanes]
    assert [r.channel_id for r in routes(lanes, chosen, {carrier}, base=MOBILE)] == (
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
