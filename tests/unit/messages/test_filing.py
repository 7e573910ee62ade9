"""What a filing must name, so that a carrier takes the text."""

import pytest

from service.messages.filing import Filing, NotFiled, Required, check_filed

TEXT = "【旌德县公安局】刷单都是骗局，拿不准拨96110或110，详见https://jdga.gov.cn/fz 。"
LINK = "https://jdga.gov.cn/fz"


@pytest.mark.parametrize(
    ("filing", "why"),
    [
        (None, "mobile: no filing"),
        (Filing("submitted"), "the filing is submitted"),
        (Filing("refused"), "the filing is refused"),
        (Filing("withdrawn"), "the filing is withdrawn"),
        (Filing("filed", contacts=("96110",), links=(LINK,)), "lacks 1 of the text's numbers"),
        (Filing("filed", contacts=("96110", "110")), "lacks a link"),
        (
            Filing("filed", contacts=("96110", "110"), links=("https://jdga.gov.cn/",)),
            "lacks a link",
        ),
        (Filing("filed", contacts=("96110", "110", "12345"), links=(LINK,)), None),
    ],
)
def test_a_text_goes_where_all_of_it_is_filed(filing: Filing | None, why: str | None) -> None:
    required = [Required("mobile", filing)]
    if why is None:
        check_filed(TEXT, required)
        return
    with pytest.raises(NotFiled, match=why):
        check_filed(TEXT, required)


def test_a_channel_that_asks_for_nothing_takes_everything() -> None:
    check_filed(TEXT, [])


@pytest.mark.parametrize(
    ("written", "filed", "lacks"),
    [
        ("https://jdga.gov.cn/fz，疑问拨110", (LINK,), False),
        ("https://jdga.gov.cn/fz。", (LINK,), False),
        ("HTTPS://jdga.gov.cn/FZ 。", ("https://jdga.gov.cn/FZ",), False),
        ("https://jdga.gov.cn/fz，https://jdga.gov.cn/2", (LINK,), True),
        ("https://jdga.gov.cn/fz，https://jdga.gov.cn/2", (LINK, "https://jdga.gov.cn/2"), False),
        ("https://jdga.gov.cn/fz,a.top", (LINK,), True),
    ],
)
def test_each_link_of_a_text_is_filed(written: str, filed: tuple[str, ...], *, lacks: bool) -> None:
    required = [Required("mobile", Filing("filed", contacts=("110",), links=filed))]
    text = f"【旌德县公安局】详见{written}"
    if not lacks:
        check_filed(text, required)
        return
    with pytest.raises(NotFiled, match="lacks a link"):
        check_filed(text, required)
