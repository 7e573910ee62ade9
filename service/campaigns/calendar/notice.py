"""The State Council's yearly notice on holidays, as its text is published, into facts (pure).

Its sentences have had one form for years: 二、春节：2月15日（…、周日）至23日（…、周一）放假调休，
共9天。2月14日（周六）、2月28日（周六）上班。 What they say twice must agree: days of the week
with their dates, and the number of days with the span. A text that does not is refused whole.
"""

import itertools
import re
from collections.abc import Iterator
from datetime import date, timedelta

from service.campaigns.calendar.holidays import Notice
from service.errors import Invalid
from service.words.phrase import phrase

_SPACE = re.compile(r"[ \t\u3000\xa0]+")
_TITLE = re.compile(r"关于(\d{4})年部分节假日安排")
_SOURCE = re.compile(r"国办发明电[〔\[(（]\d{4}[〕\])）]\d+号")
_ITEM = re.compile(r"(?<=[\n。：:号])[一二三四五六七八九十]{1,2}、([^：:\n。]{2,20})[：:]")
_BRACKET = r"(?:[（(]([^）)]*)[）)])?"
_SPAN = re.compile(
    rf"(\d{{1,2}})月(\d{{1,2}})日{_BRACKET}(?:至(?:(\d{{1,2}})月)?(\d{{1,2}})日{_BRACKET})?[^。]*?放假"
)
_DAYS = re.compile(r"(?:共|放假)(\d{1,2})天")
_DAY = re.compile(rf"(\d{{1,2}})月(\d{{1,2}})日{_BRACKET}")
_WEEKDAY = re.compile(r"(?:周|星期)([一二三四五六日天])")
_WEEKDAYS = "一二三四五六日"


def read_notice(text: str) -> Notice:
    """The holidays and working weekends of a notice.

    Raises:
        Invalid: it is not such a notice, or contradicts itself; says where.
    """
    plain = "\n" + _SPACE.sub("", text).replace("\r", "")
    title = _TITLE.search(plain)
    if title is None:
        raise _refused(phrase("the title 关于YYYY年部分节假日安排的通知 is missing"))
    year = int(title[1])
    holidays: dict[date, str] = {}
    workdays: set[date] = set()
    for name, body in _items(plain):
        for day in _days_off(year, name, body):
            if day in holidays:
                raise _refused(phrase("{name}: {day} is a day off twice", name=name, day=day))
            holidays[day] = name
        workdays.update(_workdays(year, name, body))
    if not holidays:
        raise _refused(
            phrase("it has no items such as 一、元旦：1月1日（周五）至3日（周日）放假，共3天。")
        )
    source = _SOURCE.search(plain)
    return Notice(year, source[0] if source else title[0], holidays, frozenset(workdays))


def _items(text: str) -> Iterator[tuple[str, str]]:
    """The festivals with what is said of each."""
    starts = list(_ITEM.finditer(text))
    ends = itertools.chain((match.start() for match in starts[1:]), [len(text)])
    for match, end in zip(starts, ends, strict=False):
        yield match[1], text[match.end() : end]


def _days_off(year: int, name: str, body: str) -> Iterator[date]:
    span = _SPAN.search(body)
    if span is None:
        raise _refused(
            phrase("{name}: no days off found, such as 1月1日（周五）至3日（周日）放假", name=name)
        )
    first = _date(year, name, span[1], span[2], span[3])
    last = _date(year, name, span[4] or span[1], span[5], span[6]) if span[5] else first
    count = (last - first).days + 1
    said = _DAYS.search(body)
    if said is None or int(said[1]) != count:
        says = phrase("{said} days", said=said[1]) if said else phrase("no number of days")
        raise _refused(
            phrase(
                "{name}: {first} to {last} is {count} days, but the text says {says}",
                name=name,
                first=first,
                last=last,
                count=count,
                says=says,
            )
        )
    yield from (first + timedelta(days=n) for n in range(count))


def _workdays(year: int, name: str, body: str) -> Iterator[date]:
    for sentence in body.split("。"):
        if sentence.endswith("上班"):
            for month, day, bracket in _DAY.findall(sentence):
                found = _date(year, name, month, day, bracket)
                if found.weekday() < 5:
                    raise _refused(
                        phrase(
                            "{name}: {found} is no weekend, so nobody need be told to work",
                            name=name,
                            found=found,
                        )
                    )
                yield found


def _date(year: int, name: str, month: str, day: str, bracket: str | None) -> date:
    try:
        found = date(year, int(month), int(day))
    except ValueError as error:
        raise _refused(
            phrase(
                "{name}: {month}月{day}日 is not a day of {year}",
                name=name,
                month=month,
                day=day,
                year=year,
            )
        ) from error
    said = _WEEKDAY.search(bracket or "")
    if said and _WEEKDAYS.index(said[1].replace("天", "日")) != found.weekday():
        raise _refused(
            phrase("{name}: {found} is not a 周{said}", name=name, found=found, said=said[1])
        )
    return found


def _refused(problem: str) -> Invalid:
    return Invalid(
        phrase("this is not a notice that can be read: {problem}", problem=problem),
        fields={"text": problem},
    )
