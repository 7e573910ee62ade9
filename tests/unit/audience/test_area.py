"""From what people write to an area (import rules §8)."""

import pytest

from service.audience.areas.area import Area, AreaPlace, AreaTree, packaged_areas
from service.audience.imports.rows import Rules


@pytest.mark.parametrize(
    ("code", "town", "village", "expected"),
    [
        ("", "", "", AreaPlace()),
        ("无", "-", "不详", AreaPlace()),
        ("341825102201", "", "", AreaPlace("341825102201", "341825102201")),
        ("341825102", "庙首镇", "", AreaPlace("341825102000", "341825102")),
        ("341825", "", "", AreaPlace("341825000000", "341825")),
        ("３４１８２５.0", "", "", AreaPlace("341825000000", "341825.0")),
        (
            "34182510",
            "三溪镇",
            "",
            AreaPlace("341825102000", "三溪镇", False, ("area_code_invalid",)),
        ),
        ("", "三溪镇", "", AreaPlace("341825102000", "三溪镇")),
        ("", "三溪乡", "", AreaPlace("341825102000", "三溪乡", True)),
        ("", "三溪镇人民政府", "", AreaPlace("341825102000", "三溪镇人民政府", True)),
        ("", "旌德县", "", AreaPlace("", "旌德县", False, ("area_unknown",))),
        ("", "安徽省宣城市旌德县三溪镇", "", AreaPlace("341825102000", "三溪镇")),
        ("", "三溪镇", "三溪社区", AreaPlace("341825102001", "三溪镇 三溪社区", True)),
        ("", "三溪镇", "路西村委会", AreaPlace("341825102200", "三溪镇 路西村委会")),
        ("", "三溪", "路西村委会", AreaPlace("341825102200", "三溪 路西村委会", True)),
        (
            "",
            "三溪镇",
            "东方红",
            AreaPlace("341825102000", "三溪镇 东方红", False, ("village_unknown",)),
        ),
        ("", "城关镇", "路西村", AreaPlace("", "城关镇 路西村", False, ("area_unknown",))),
        ("", "三溪路西", "高溪村委会", AreaPlace("341825102200", "三溪路西 高溪村委会", True)),
        ("", "", "路西村委会", AreaPlace("341825102200", "路西村委会")),
        ("", "", "路西", AreaPlace("341825102200", "路西", True)),
        ("", "", "三溪镇路 西村", AreaPlace("341825102200", "三溪镇路西村", True)),
        ("", "", "东方红", AreaPlace("", "东方红", False, ("area_unknown",))),
    ],
)
def test_meaning_of_the_three_cells(
    code: str, town: str, village: str, expected: AreaPlace, rules: Rules
) -> None:
    assert rules.areas.resolve(code, town, village)[:4] == expected[:4]


def test_an_alias_of_two_towns_means_neither() -> None:
    towns = [Area(f"34182510{n}000", name, "town", "") for n, name in enumerate(["甲镇", "甲乡"])]
    tree = AreaTree(towns)
    assert tree.resolve("", "甲", "").warnings == ("area_unknown",)
    assert tree.resolve("", "甲乡", "").code == "341825101000"
    assert not tree.resolve("", "甲乡", "").alias


def test_a_village_name_that_two_towns_have_needs_the_town() -> None:
    areas = [
        Area("341825100000", "甲镇", "town", ""),
        Area("341825101000", "乙镇", "town", ""),
        Area("341825100200", "新村村委会", "village", "341825100000"),
        Area("341825101200", "新村村委会", "village", "341825101000"),
    ]
    tree = AreaTree(areas)
    assert tree.resolve("", "", "新村").code == ""
    assert tree.resolve("", "乙镇", "新村").code == "341825101200"
    assert tree.resolve("", "乙新村", "").code == "341825101200"


def test_town_of_an_area(rules: Rules) -> None:
    assert rules.areas.town_of("341825102201") == "341825102000"
    assert rules.areas.town_of("341825102000") == "341825102000"
    assert rules.areas.town_of("341825000000") == "341825000000"


def test_a_tree_without_areas_knows_none() -> None:
    assert AreaTree(()).resolve("", "三溪镇", "").warnings == ("area_unknown",)


def test_a_place_knows_its_town_and_what_was_mended(rules: Rules) -> None:
    alias = rules.areas.resolve("", "", "路西")
    assert (alias.town, alias.fixes) == ("341825102000", ("area_alias",))
    county = rules.areas.resolve("341825", "", "")
    assert (county.town, county.fixes) == ("341825000000", ())
    assert rules.areas.resolve("", "", "").town == ""


@pytest.mark.parametrize(
    ("area", "code"),
    [
        ("安徽省", "340000000000"),
        ("宣城市", "341800000000"),
        ("旌德县", "341825000000"),
        ("安徽省宣城市旌德县", "341825000000"),
        (" 旌德 县 ", "341825000000"),
        ("旌阳镇", "341825100000"),
        ("路西", "341825102200"),
        ("341800", "341800000000"),
    ],
)
def test_the_one_cell_of_an_area_takes_a_name_of_any_level(
    area: str, code: str, rules: Rules
) -> None:
    place = rules.areas.resolve("", "", "", area)
    assert (place.code, place.warnings) == (code, ())
    assert place.town == rules.areas.town_of(code)


def test_a_name_that_several_areas_of_a_level_have_means_none() -> None:
    areas = [
        Area("110105000000", "朝阳区", "county", "110000000000"),
        Area("220104000000", "朝阳区", "county", "220100000000"),
        Area("341825102200", "路西村委会", "village", "341825102000"),
        Area("341825102200001", "一组", "group", "341825102200"),
        Area("341825102200002", "二组", "group", "341825102200"),
        Area("341825102000", "三溪镇", "town", "341825000000"),
    ]
    tree = AreaTree(areas)
    assert tree.resolve("", "", "", "朝阳区").warnings == ("area_unknown",)
    group = tree.resolve("", "", "", "二组")
    assert (group.code, group.town) == ("341825102200002", "341825102000")


def test_areas_in_an_area_are_found_from_the_top_down() -> None:
    tree = AreaTree(packaged_areas())
    county, town = "341825000000", "341825100000"
    assert tree.roots == ["340000000000"]
    assert set(tree.subtree(town)) == {
        code for code in tree.areas if town in {area.code for area in tree.above(code)}
    }
    towns = tree.at([county], {"town"})
    assert towns == [code for code, area in tree.areas.items() if area.parent == county]
    assert tree.at(tree.roots, {"town"}) == towns
    assert tree.at([town], {"town"}) == [town]
    assert tree.at([towns[0]], {"county"}) == []
