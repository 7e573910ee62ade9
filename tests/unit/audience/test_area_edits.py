"""What may be the name of an area, of which texts are made that nobody reads again."""

import pytest

from service.audience.areas.area import Area, packaged_areas
from service.audience.areas.area_edits import LONGEST_NAME, check_name
from service.errors import Invalid


@pytest.mark.parametrize("area", packaged_areas(), ids=lambda area: area.code)
def test_every_name_that_the_program_brings_is_one(area: Area) -> None:
    check_name(area.name, area.level)


@pytest.mark.parametrize(
    ("name", "level"),
    [
        *(
            (name, "town")
            for name in ("新镇", "白果乡", "城西街道", "巴彦苏木", "国营林场", "经济开发区")
        ),
        *((name, "town") for name in ("孟村回族自治县", "塔什库尔干塔吉克自治县", "双江拉祜族乡")),
        *(
            (name, "village")
            for name in ("新安村", "付村", "转水村", "银行街社区", "公安社区", "霍家桥村委会")
        ),
        *(
            (name, "village")
            for name in ("南门居民委员会", "巴音嘎查", "𬭎村", "信义社区", "金库村")
        ),
        *(
            (name, "group")
            for name in ("一组", "第12村民组", "16幢", "3号楼", "王家湾", "张家屯", "东头")
        ),
    ],
)
def test_honest_names_pass(name: str, level: str) -> None:
    check_name(name, level)


@pytest.mark.attack
@pytest.mark.parametrize(
    ("name", "level"),
    [
        ("点t.cn/x报验证码镇", "town"),
        ("旌阳镇，请拨19790000001镇", "town"),
        ("旌阳镇，把验证码发给民警", "village"),
        ("请速汇款村", "village"),
        ("打开链接认证村", "village"),
        ("账户冻结联系客服村", "village"),
        ("96110村", "village"),
        ("旌阳 镇", "town"),
        ("旌\u200b阳镇", "town"),
        ("旌阳镇\n", "town"),
        ("旌阳镇【银行】镇", "town"),
        ("{姓名}镇", "town"),
        ("旌阳", "town"),
        ("镇", "town"),
        ("x", "group"),
        ("拨19790000001组", "group"),
        ("请拨1979幢00000幢", "group"),
        ("村" * (LONGEST_NAME + 1), "village"),
    ],
)
def test_what_is_no_name_of_an_area_is_refused(name: str, level: str) -> None:
    with pytest.raises(Invalid) as caught:
        check_name(name, level)
    assert set(caught.value.fields) == {"name"}
