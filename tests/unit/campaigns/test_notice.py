"""The notices of two years as they were published, and such as contradict themselves."""

import pytest

from service.campaigns.calendar.holidays import Holidays
from service.campaigns.calendar.notice import read_notice
from service.errors import Invalid

NOTICE_2025 = """国务院办公厅关于2025年
部分节假日安排的通知
国办发明电〔2024〕12号
各省、自治区、直辖市人民政府，国务院各部委、各直属机构：
经国务院批准，现将2025年元旦、春节、清明节、劳动节、端午节、中秋节和国庆节放假调休日期的具体安排通知如下。
一、元旦：1月1日（周三）放假1天，不调休。
二、春节：1月28日（农历除夕、周二）至2月4日（农历正月初七、周二）放假调休，共8天。1月26日（周日）、2月8日（周六）上班。
三、清明节：4月4日（周五）至6日（周日）放假，共3天。
四、劳动节：5月1日（周四）至5日（周一）放假调休，共5天。4月27日（周日）上班。
五、端午节：5月31日（周六）至6月2日（周一）放假，共3天。
六、国庆节、中秋节：10月1日（周三）至8日（周三）放假调休，共8天。9月28日（周日）、10月11日（周六）上班。
节假日期间，各地区、各部门要妥善安排好值班和安全、保卫、疫情防控等工作，遇有重大突发事件，要按规定及时报告并妥善处置。
""".replace("2025年\n部分", "2025年部分")

NOTICE_2026 = """国务院办公厅关于2026年部分节假日安排的通知　国办发明电〔2025〕7号
　　一、元旦：1月1日（周四）至3日（周六）放假调休，共3天。1月4日（周日）上班。
　　二、春节：2月15日（农历腊月二十八、周日）至23日（农历正月初七、周一）放假调休，共9天。2月14日（周六）、2月28日（周六）上班。
　　三、清明节：4月4日（周六）至6日（周一）放假，共3天。
　　四、劳动节：5月1日（周五）至5日（周二）放假调休，共5天。5月9日（周六）上班。
　　五、端午节：6月19日（周五）至21日（周日）放假，共3天。
　　六、中秋节：9月25日（周五）至27日（周日）放假，共3天。
　　七、国庆节：10月1日（周四）至7日（周三）放假调休，共7天。9月20日（周日）、10月10日（周六）上班。
"""


@pytest.mark.parametrize(
    "text", [NOTICE_2025, NOTICE_2026, NOTICE_2026.replace("\n", "").replace("　", "\n", 1)]
)
def test_a_notice_says_what_is_shipped(text: str) -> None:
    notice = read_notice(text)
    shipped = Holidays().year(notice.year)
    assert notice.holidays == shipped.holidays
    assert notice.workdays == shipped.workdays
    assert notice.source == shipped.source


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("关于2026年部分节假日安排", "关于元旦", "title"),
        ("共9天", "共8天", "春节: .* is 9 days"),
        ("，共9天", "", "no number of days"),
        ("2月14日（周六）", "2月13日（周六）", "2026-02-13 is not a 周六"),
        ("2月14日（周六）", "2月16日（周一）", "no weekend"),
        ("1月1日（周四）", "1月32日（周四）", "not a day of 2026"),
        ("5月1日（周五）至5日（周二）放假", "放假", "劳动节: no days off"),
        ("9月25日（周五）至27日（周日）放假，共3天", "10月1日（周四）放假1天", "twice"),
        ("、", "，", "no items"),
    ],
)
def test_a_notice_that_contradicts_itself_is_refused(before: str, after: str, said: str) -> None:
    assert before in NOTICE_2026
    with pytest.raises(Invalid, match=said):
        read_notice(NOTICE_2026.replace(before, after))


def test_any_other_text_is_refused() -> None:
    for text in ("", "\0", "一、元旦：" * 1_000, "关于2026年部分节假日安排" + "一、元" * 1_000):
        with pytest.raises(Invalid):
            read_notice(text)
