"""Message texts with variables, as in `{姓名}您好`: check, fill, measure; and the starter library.

A variable is filled once: what looks like a variable inside a value stays as it is. A text may say
what fills a variable (`value_kinds`).
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from service.coding import parts
from service.errors import Invalid, Misconfigured
from service.ledger.message_class import MessageClass
from service.messages.value_kinds import Allowed, longest_of, read_variable
from service.messages.value_sources import (
    CONTACT_VARIABLES,
    LIST_VARIABLES,
    LONGEST_LISTED,
    PERSON_VARIABLES,
    PLAN_VARIABLES,
    ContactFact,
    Fact,
    planned_kind,
)
from service.words.phrase import Phrase, Sentence, listing, phrase

MAX_VARIABLES = 6
MAX_CHARACTERS = 500
MAX_VALUE = 20
"""The longest value of a variable, in characters; `longest_value` has those that lists fill."""

SAMPLE_VALUES: Mapping[str, str] = {
    "姓名": "欧阳建国",
    "name": "Wang Jianguo",
    "乡镇": "旌阳镇",
    "town": "旌阳镇",
    "社区": "霍家桥村",
    "村": "霍家桥村",
    "village": "霍家桥村",
    "起数": "12",
    "周期": "1月10日至16日",
    "金额": "35.6",
    "单位": "县市场监管局",
    "群名": "新桥小区3幢群",
    "学校": "旌德县第一中学",
    "学院": "经济管理学院",
    "科室": "综合办公室",
    "年级": "三年级",
    "班级": "三年级（2）班",
    "村民组": "东山组",
    "类型": "刷单返利、虚假征信",
    "职务": "财务人员",
    "身份": "财务人员",
}
"""Ordinary values, for the length that an operator sees while writing."""

LIBRARY = Path(__file__).parents[2] / "templates" / "messages" / "library.json"
"""The starter library; `templates` lies beside `service` in a checkout as in site-packages."""

_VARIABLE = re.compile(r"\{([^{}]*)\}")


class MissingValue(Invalid):
    """A variable of the text has no value, or a blank one."""

    code = "missing_value"

    def __init__(self, variable: str) -> None:
        self.variable = variable
        super().__init__(
            phrase(
                "the variable {{{variable}}} has no value; give one or take it out of the text",
                variable=variable,
            ),
            fields={f"values.{variable}": phrase("a value that is not blank")},
        )


@dataclass(frozen=True, slots=True)
class TemplateProblem:
    """What is wrong with a template: where (from 1), in Chinese and in English."""

    at: int
    chinese: str
    english: str

    @property
    def sentence(self) -> Phrase:
        """The place and what is wrong there."""
        words = Sentence(self.chinese, self.english)
        return phrase("character {at}: {problem}", at=self.at, problem=words)


@dataclass(frozen=True, slots=True)
class Slot:
    """One place in a text where a variable is filled; `start` and `end` count from 0.

    allowed: what may fill it, if the text says so.
    """

    variable: str
    start: int
    end: int
    allowed: Allowed | None = None


@dataclass(frozen=True, slots=True)
class Measure:
    """How long a text is in UTF-16 units, in which encoding it travels, in how many parts."""

    characters: int
    encoding: str
    parts: int


@dataclass(frozen=True, slots=True)
class Starter:
    """A text of the starter library, with whom it is for and what it warns of.

    rewords: the starter whose warning it says in other words.
    """

    id: str
    audience: tuple[str, ...]
    audience_label: Sentence
    fraud_types: tuple[str, ...]
    fraud_label: Sentence
    topic: str | None
    language: str
    message_class: MessageClass
    text: str
    rewords: str | None = None


@lru_cache(256)  # a dozen rules of lint ask
def slots(text: str) -> tuple[Slot, ...]:
    """Every place of a variable, in order."""
    return tuple(_slot(match) for match in _VARIABLE.finditer(text))


def _slot(match: re.Match[str]) -> Slot:
    name, allowed = read_variable(match[1])
    return Slot(name, match.start(), match.end(), allowed)


@lru_cache(256)  # the hand-off asks for each recipient of a text
def variables(text: str) -> tuple[str, ...]:
    """The distinct variables of a text, in the order of their first place."""
    return tuple(dict.fromkeys(slot.variable for slot in slots(text) if slot.variable))


@lru_cache(256)
def allowed_values(text: str) -> Mapping[str, Allowed]:
    """What may fill the variables of a text of which it says so."""
    return {slot.variable: slot.allowed for slot in slots(text) if slot.allowed is not None}


Fill = Literal[Fact, "plan"]
"""What fills a variable in a campaign: a fact of each person, or the plan."""


def fills(text: str) -> dict[str, Fill | None]:
    """What fills each variable of a text in a campaign; None: nothing does."""
    found: dict[str, Fill | None] = {name: PERSON_VARIABLES.get(name) for name in variables(text)}
    return found | dict.fromkeys(planned(text), "plan")


def planned(text: str) -> dict[str, Allowed]:
    """The variables of a text that a plan fills, each with what may fill it."""
    said = allowed_values(text)
    kinds = {name: planned_kind(name, said.get(name)) for name in variables(text)}
    return {name: kind for name, kind in kinds.items() if kind is not None}


def fill(text: str, values: Iterable[tuple[str, str]]) -> str:
    """The text with these variables filled; all others stay."""
    given = dict(values)
    return _VARIABLE.sub(lambda match: given.get(_slot(match).variable) or match[0], text)


def unfilled_problem(text: str) -> str | None:
    """Why no campaign can send a text: it has variables that nothing fills; None: it can."""
    unfilled = [f"{{{name}}}" for name, source in fills(text).items() if source is None]
    if not unfilled:
        return None
    return phrase(
        "nothing fills {names} of this text in a campaign. Its contacts and lists fill {of_people};"
        " its plan fills {of_plans}, and what the text says the kind of, as {kind}. Else write the"
        " value into the text in place of the variable, or send it with POST /messages, which"
        " brings the values with each recipient",
        names=listing(unfilled),
        of_people=listing(f"{{{name}}}" for name in PERSON_VARIABLES),
        of_plans=listing(f"{{{name}}}" for name in PLAN_VARIABLES),
        kind=unfilled[0].removesuffix("}") + ":数量}",
    )


def problems(text: str) -> list[TemplateProblem]:
    """What is wrong with the variables and the length of a text; empty if nothing is."""
    return [*variable_problems(text), *_length_problems(text)]


def check(text: str) -> None:
    """Refuse a text that cannot be a template.

    Raises:
        Invalid: names each problem and its place.
    """
    if found := problems(text):
        raise Invalid.at(
            "text",
            listing((problem.sentence for problem in found), "; "),
            code="template",
        )


def variable_problems(text: str) -> Iterator[TemplateProblem]:
    """Braces that do not pair, variables without a name, and too many of them."""
    rest = _VARIABLE.sub(lambda match: " " * len(match[0]), text)
    if stray := re.search(r"[{}]", rest):
        yield TemplateProblem(
            stray.start() + 1,
            "大括号不成对，变量请写成 {姓名}",
            "a brace without its partner; write a variable as {姓名}",
        )
    if wide := re.search(r"[｛｝]", rest):
        yield TemplateProblem(
            wide.start() + 1,
            "变量请用半角大括号，写成 {姓名}",
            "full-width braces; write a variable as {姓名}",
        )
    for slot in slots(text):
        if not slot.variable:
            yield TemplateProblem(
                slot.start + 1,
                "变量名为空，请写上名称，如 {姓名}",
                "a variable without a name; name it, as in {姓名}",
            )
    yield from _choice_problems(text)
    names = variables(text)
    if len(names) > MAX_VARIABLES:
        first_too_many = next(s for s in slots(text) if s.variable == names[MAX_VARIABLES])
        yield TemplateProblem(
            first_too_many.start + 1,
            f"变量有 {len(names)} 个，请减到 {MAX_VARIABLES} 个以内",
            f"{len(names)} variables; use at most {MAX_VARIABLES}",
        )


def _choice_problems(text: str) -> Iterator[TemplateProblem]:
    said: dict[str, Allowed | None] = {}
    for slot in slots(text):
        if said.setdefault(slot.variable, slot.allowed) != slot.allowed:
            yield TemplateProblem(
                slot.start + 1,
                f"变量“{slot.variable}”前后的类型不同，请写成一样",
                f"{slot.variable} takes other values here than before; say the same in each place",
            )
        if isinstance(slot.allowed, tuple) and not all(
            one and len(one) <= MAX_VALUE for one in slot.allowed
        ):
            yield TemplateProblem(
                slot.start + 1,
                f"每个可选值须为 1 至 {MAX_VALUE} 字，用 | 隔开",
                f"each value to choose from has 1 to {MAX_VALUE} characters, with | between them",
            )


def _length_problems(text: str) -> Iterator[TemplateProblem]:
    length = characters(text)
    if length > MAX_CHARACTERS:
        yield TemplateProblem(
            MAX_CHARACTERS + 1,
            f"全文 {length} 字，请减到 {MAX_CHARACTERS} 字以内",
            f"{length} characters; shorten the text to at most {MAX_CHARACTERS}",
        )


def characters(text: str) -> int:
    """The length of a text as carriers count it: a character outside the BMP counts 2."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def render(text: str, values: Mapping[str, str]) -> str:
    """The text with every variable filled.

    Raises:
        MissingValue: a variable has no value or a blank one.
    """
    return _VARIABLE.sub(lambda match: _value(_slot(match).variable, values), text)


def _value(variable: str, values: Mapping[str, str]) -> str:
    value = values.get(variable, "")
    if not value.strip():
        raise MissingValue(variable)
    return value


def contact_values(name: str, town: str, village: str) -> dict[str, str]:
    """The values of all variables that a contact fills; a fact we do not know is left out."""
    facts: Mapping[ContactFact, str] = {"name": name, "town": town, "village": village}
    return {word: facts[fact] for word, fact in CONTACT_VARIABLES.items() if facts[fact].strip()}


def listed_values(facts: Mapping[str, str]) -> dict[str, str]:
    """The values of all variables that an entry of a list fills; what it does not say is left
    out.
    """
    return {word: said for word, fact in LIST_VARIABLES.items() if (said := facts.get(fact, ""))}


def longest_value(variable: str) -> int:
    """How many characters the value of a variable has at most."""
    fact = LIST_VARIABLES.get(variable)
    return MAX_VALUE if fact is None else LONGEST_LISTED[fact]


def worst_values(text: str) -> dict[str, str]:
    """The longest allowed value for every variable of a text."""
    longest = {slot.variable: longest_value(slot.variable) for slot in slots(text)}
    longest |= {
        name: longest_of(kind, longest[name]) for name, kind in allowed_values(text).items()
    }
    return {name: "国" * most for name, most in longest.items()}


def sample_values(text: str) -> dict[str, str]:
    """An ordinary value for every variable of a text; the longest one where we know none."""
    return {
        variable: SAMPLE_VALUES.get(variable, longest)
        for variable, longest in worst_values(text).items()
    }


def measure(text: str, values: Mapping[str, str]) -> Measure:
    """Length, encoding and parts of a text once its variables are filled.

    Raises:
        MissingValue: a variable has no value or a blank one.
        Invalid: the text needs more parts than any handset can join.
    """
    filled = render(text, values)
    coding, count = parts.count(filled)
    return Measure(characters(filled), coding.name, count)


def load_library() -> list[Starter]:
    """The starter library.

    Raises:
        Misconfigured: the program was installed without its templates folder.
    """
    try:
        content = json.loads(LIBRARY.read_text("utf-8"))
    except FileNotFoundError:
        raise Misconfigured(
            phrase(
                "{library} is missing; install the program with its templates folder",
                library=LIBRARY,
            )
        ) from None
    return [_starter(entry) for entry in content["texts"]]


def _starter(entry: Mapping[str, Any]) -> Starter:
    return Starter(
        id=entry["id"],
        audience=tuple(entry["audience"]),
        audience_label=Sentence(**entry["audience_label"]),
        fraud_types=tuple(entry["fraud_types"]),
        fraud_label=Sentence(**entry["fraud_label"]),
        topic=entry["topic"],
        language=entry["language"],
        message_class=entry["class"],
        text=entry["text"],
        rewords=entry["rewords"],
    )
