"""Households as people write them."""

import pytest

from service.errors import Invalid
from service.followups.ladder import VisitResult
from service.followups.rounds.household import check_spoken_to, label_form, label_problem


@pytest.mark.parametrize(
    "written",
    ["三组12号", "三组 12号", "3组12号", "３组１２号", "3组-12号", "三组十二号", " 三组，12号 "],
)
def test_one_household_is_written_in_many_ways(written: str) -> None:
    assert label_form(written) == "3组12号"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1-12", "11-2"),
        ("1 12", "112"),
        ("三组12号", "三组2号"),
        ("一〇一室", "一一〇室"),
        ("二十三号", "三十二号"),
        ("十号", "一百号"),
        ("a栋301", "b栋301"),
    ],
)
def test_two_households_are_not_one(one: str, other: str) -> None:
    assert label_form(one) != label_form(other)


@pytest.mark.parametrize("label", ["", " - ", "x" * 41, "19790000001", "3组 19790000001 家"])
def test_what_is_no_label(label: str) -> None:
    assert label_problem(label) is not None
    assert label_problem("三组12号") is None


def test_heads_are_counted_only_where_they_were_told() -> None:
    check_spoken_to(VisitResult.TOLD, 1)
    check_spoken_to(VisitResult.NOT_HOME, 0)
    for result, heads in ((VisitResult.TOLD, 0), (VisitResult.TOLD, 100), (VisitResult.REFUSED, 1)):
        with pytest.raises(Invalid) as refused:
            check_spoken_to(result, heads)
        assert [*refused.value.fields] == ["spoken_to"]
