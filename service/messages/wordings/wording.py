"""The words of a text as an LED line, a loudspeaker's script, a poster … (pure).

Between the fixed frame of a kind stands a run of whole sentences of the text, without its signature
and its opt-out tail: their letters and digits, in their order (`has_same_words`). Sentences with
variables are left out, since a wall and a loudspeaker know nobody's name. A counter and a cash
machine have little room: they take as many sentences from the beginning as fit, one at least.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal, get_args

from service.errors import Invalid
from service.messages.lint.lint_form import TAILS
from service.messages.signature import words as without_signature
from service.messages.template import slots
from service.words.phrase import Phrase, phrase

WordingKind = Literal["led", "loudspeaker", "wechat", "poster", "letter", "counter", "atm"]
KINDS: tuple[WordingKind, ...] = get_args(WordingKind)

KIND_WORDS: Mapping[WordingKind, Phrase] = {
    "led": phrase("LED screen"),
    "loudspeaker": phrase("loudspeaker"),
    "wechat": phrase("WeChat group"),
    "poster": phrase("poster"),
    "letter": phrase("letter to parents"),
    "counter": phrase("counter display"),
    "atm": phrase("cash machine"),
}
"""What the kinds are called."""

ROOM: dict[WordingKind, int] = {"counter": 60, "atm": 40}
"""The most characters of a kind."""

LED_WIDTH, NARROWEST, WIDEST = 16, 6, 40
"""Characters of a line on a screen: unless it is said, at least, at most."""
POSTER_WIDTH = 14

A_SECOND = {"zh": 4, "en": 12}
"""Letters that a loudspeaker reads in a second."""

_SENTENCE_ENDS = "。！？!?\n"
_OPENING, _CLOSING = "“‘「『（(【《", "”’」』）)】》"
_PAUSES = "，、；：,;:"
"""Signs that the end of a line says as well."""
_CLAUSE_ENDS = frozenset("，。、；：！？,;:!?\n")
_TOKEN = re.compile(
    rf"[{_OPENING}]*(?:[A-Za-z0-9]+(?:[.,:'-][A-Za-z0-9]+)*|\s+|.)"
    rf"[{re.escape(_CLOSING)}，。、；：！？,;:!?.]*",
    re.DOTALL,
)


class WordingRefused(Invalid):
    """The text has no wording of this kind."""

    code = "no_such_wording"


@dataclass(frozen=True, slots=True)
class PublicWording:
    """A wording. lines: as they stand below one another. seconds: how long it takes to read it
    aloud; None: nobody does.
    """

    kind: WordingKind
    lines: tuple[str, ...]
    seconds: int | None = None

    @property
    def text(self) -> str:
        """All of it."""
        return "\n".join(self.lines)


@dataclass(frozen=True, slots=True)
class WordingFrame:
    """What is around the words: who says it, on which day, in which language."""

    department: str
    day: date
    language: str = "zh"

    @property
    def is_english(self) -> bool:
        """Whether the frame is English."""
        return self.language == "en"


def sentences(text: str) -> list[str]:
    """The whole sentences of a text, without its signature and its opt-out tail."""
    body = without_signature(text).strip()
    for tail in TAILS:
        body = body.removesuffix(tail).rstrip()
    found: list[str] = []
    depth, begin, at = 0, 0, 0
    while at < len(body):
        character = body[at]
        depth += (character in _OPENING) - (character in _CLOSING)
        at += 1
        if depth > 0 or not _ends_sentence(body, at - 1):
            continue
        while at < len(body) and (body[at] in _SENTENCE_ENDS or body[at] in _CLOSING):
            at += 1
        found.append(body[begin:at].strip())
        begin = at
    found.append(body[begin:].strip())
    return [sentence for sentence in found if letters(sentence)]


def _ends_sentence(body: str, at: int) -> bool:
    if body[at] == ".":
        return body[at + 1 : at + 2] in {"", " ", "\n"}
    return body[at] in _SENTENCE_ENDS


def letters(text: str) -> str:
    """The letters and digits of a text, in their order."""
    return "".join(filter(str.isalnum, text))


def usable(text: str) -> list[str]:
    """The longest run of sentences without variables, the first of several.

    Raises:
        WordingRefused: there is none.
    """
    runs: list[list[str]] = [[]]
    for sentence in sentences(text):
        if slots(sentence):
            runs.append([])
        else:
            runs[-1].append(sentence)
    longest = max(runs, key=lambda run: sum(map(len, run)))
    if not longest:
        raise WordingRefused.at(
            "kind",
            phrase(
                "each sentence of this text has a variable, which nobody fills on a wall or from a"
                " loudspeaker; write a version without variables"
            ),
        )
    return longest


def make(
    kind: WordingKind, text: str, frame: WordingFrame, *, width: int = LED_WIDTH
) -> PublicWording:
    """A text as a wording of a kind. width: characters of a line on a screen.

    Raises:
        WordingRefused: each of its sentences has a variable, or its first one does not fit.
    """
    run = _fitting(kind, usable(text))
    body = _joined(run)
    if kind == "led":
        return PublicWording(kind, tuple(broken(body, width)))
    if kind == "loudspeaker":
        return _spoken_twice(run, frame)
    if kind == "poster":
        head, *rest = clauses(body)
        # Latin letters are half as wide.
        most = POSTER_WIDTH * (2 if frame.is_english else 1)
        lines = (head.strip(), *broken("".join(rest), most))
        return PublicWording(kind, tuple(line.rstrip(_PAUSES) for line in lines))
    return PublicWording(kind, (*_above(kind, frame), body, *_below(kind, frame)))


def _fitting(kind: WordingKind, run: list[str]) -> list[str]:
    room = ROOM.get(kind)
    if room is None:
        return run
    most = max((n for n in range(1, len(run) + 1) if len(_joined(run[:n])) <= room), default=0)
    if not most:
        raise WordingRefused.at(
            "kind",
            phrase(
                "there is room for {room} characters, and the first sentence has {length}; write a"
                " version that begins with a shorter one",
                room=room,
                length=len(run[0]),
            ),
        )
    return run[:most]


def _joined(run: Sequence[str]) -> str:
    """Sentences behind one another; English ones with a space between."""
    made = ""
    for sentence in run:
        made += (" " if made and made[-1].isascii() and sentence[:1].isascii() else "") + sentence
    return made


def _above(kind: WordingKind, frame: WordingFrame) -> tuple[str, ...]:
    if kind != "letter":
        return ()
    return ("Dear parents,",) if frame.is_english else ("各位家长：",)


def _below(kind: WordingKind, frame: WordingFrame) -> tuple[str, ...]:
    day = frame.day
    if kind == "letter":
        written = f"{day:%Y-%m-%d}" if frame.is_english else f"{day.year}年{day.month}月{day.day}日"
        return (frame.department, written)
    if kind == "wechat":
        told = "Please tell your family." if frame.is_english else "请转告家人。"
        return (told, f"—— {frame.department}")
    return ()


def clauses(text: str) -> list[str]:
    """A text cut behind its punctuation; a sign between two digits is none."""
    found: list[str] = []
    begin = 0
    for at, character in enumerate(text):
        ends = character in _CLAUSE_ENDS or _ends_sentence(text, at)
        if at < begin or not ends:
            continue
        around = text[at - 1 : at] + text[at + 1 : at + 2]
        if len(around) == 2 and around.isdigit():
            continue
        end = at + 1
        while end < len(text) and (text[end] in _CLAUSE_ENDS or text[end] in _CLOSING):
            end += 1
        found.append(text[begin:end])
        begin = end
    return [clause for clause in (*found, text[begin:]) if clause.strip()]


def broken(text: str, width: int) -> list[str]:
    """A text in lines of so many characters at most, broken at punctuation where that is possible;
    a longer clause is parted evenly, and a number or a foreign word only if it is longer than a
    line. No line begins with the sign that ends the one before it.
    """
    lines = [""]
    for clause in clauses(text):
        piece = clause if lines[-1] else clause.lstrip()
        if len((lines[-1] + piece).rstrip()) <= width:
            lines[-1] += piece
        elif len(clause.strip()) <= width:
            lines.append(clause.lstrip())
        else:
            lines += _parted(clause.strip(), width)
    return [line.strip() for line in lines if line.strip()]


def _parted(clause: str, width: int) -> list[str]:
    """A clause that is longer than a line, in as few lines as may be, about equally long."""
    fewest = math.ceil(len(clause) / width)
    packed = _packed(clause, width)
    for most in range(math.ceil(len(clause) / fewest), width):
        found = _packed(clause, most)
        if len(found) <= len(packed):
            return found
    return packed


def _packed(clause: str, width: int) -> list[str]:
    lines = [""]
    for token in _TOKEN.findall(clause):
        for part in (token[at : at + width] for at in range(0, len(token), width)):
            if lines[-1] and len((lines[-1] + part).rstrip()) > width:
                lines.append("")
            lines[-1] += part if lines[-1] else part.lstrip()
    return lines


def _spoken_twice(run: Sequence[str], frame: WordingFrame) -> PublicWording:
    once = _spoken_lines(run, english=frame.is_english)
    heard = 2 * sum(len(letters(line)) for line in once)
    seconds = math.ceil(heard / A_SECOND["en" if frame.is_english else "zh"])
    return PublicWording("loudspeaker", (*once, "", *once), seconds)


def _spoken_lines(run: Sequence[str], *, english: bool) -> tuple[str, ...]:
    """What is read, clause by clause, without signs."""
    read = (_bare(spoken(clause, english=english)) for clause in clauses(_joined(run)))
    return tuple(line for line in read if line)


def _bare(clause: str) -> str:
    """A clause without signs; foreign words keep the space between them."""
    kept = "".join(c if c.isalnum() else " " for c in clause)
    return re.sub(r"(?<![A-Za-z0-9]) +| +(?![A-Za-z0-9])", "", " ".join(kept.split()))


_FIGURES = "零一二三四五六七八九"
_UNITS = "年月日号天周个起人户名岁次点时分秒小元角块万亿千百条项种家张部台级楼栋幢室组公里倍米斤度"
_NUMBER = re.compile(
    rf"(?P<share>[0-9]+(?:\.[0-9]+)?)%|(?P<hour>[0-9]{{1,2}}):(?P<minute>[0-9]{{2}})(?![0-9])"
    rf"|(?<![0-9.])(?P<count>[1-9][0-9])(?=[{_UNITS}])|(?P<digits>[0-9]+(?:\.[0-9]+)*)"
)


def spoken(text: str, *, english: bool = False) -> str:
    """A text as it is read aloud: numbers digit by digit (96110: 九六一一零), but two digits before
    a unit as a number (10日: 十日), times and shares as they are said.
    """
    if english:
        return re.sub("[0-9]+", lambda match: " ".join(match[0]), text)
    return _NUMBER.sub(_read_number, text)


def _read_number(match: re.Match[str]) -> str:
    if match["share"]:
        return "百分之" + _number(match["share"])
    if match["hour"]:
        hour, minute = match["hour"].lstrip("0") or "0", match["minute"]
        said = f"{_number(hour)}点"
        return said if minute == "00" else f"{said}{_number(minute)}分"
    return _number(match["count"] or "") or _one_by_one(match["digits"])


def _one_by_one(figures: str) -> str:
    return "".join("点" if figure == "." else _FIGURES[int(figure)] for figure in figures)


def _number(figures: str) -> str:
    """From 10 to 99 as it is said, all others figure by figure."""
    if len(figures) != 2 or figures[0] == "0":
        return _one_by_one(figures)
    tens, ones = _FIGURES[int(figures[0])], int(figures[1])
    return ("" if tens == "一" else tens) + "十" + (_FIGURES[ones] if ones else "")


def has_same_words(wording: str, kind: WordingKind, text: str, frame: WordingFrame) -> bool:
    """Whether a wording has, between the frame of its kind, the letters and digits of a run of
    whole sentences of the text, in their order; a loudspeaker's, twice and as they are read.
    """
    body = _unframed(wording, kind, frame)
    return body is not None and body in _runs(kind, text, frame)


def _unframed(wording: str, kind: WordingKind, frame: WordingFrame) -> str | None:
    """The letters between the frame; None: it has another frame."""
    said = letters(wording)
    above = letters("".join(_above(kind, frame)))
    below = letters("".join(_below(kind, frame)))
    if kind == "loudspeaker":
        half, odd = divmod(len(said), 2)
        return None if odd or said[:half] != said[half:] else said[:half]
    if len(said) < len(above) + len(below):
        return None
    if not (said.startswith(above) and said.endswith(below)):
        return None
    return said[len(above) : len(said) - len(below)]


def _runs(kind: WordingKind, text: str, frame: WordingFrame) -> Iterator[str]:
    """The letters of each run of whole sentences."""
    whole = sentences(text)
    for first in range(len(whole)):
        for last in range(first + 1, len(whole) + 1):
            run = whole[first:last]
            if kind == "loudspeaker":
                yield letters("".join(_spoken_lines(run, english=frame.is_english)))
            else:
                yield letters(_joined(run))
