"""The values that a plan gives its texts, once for all who get them: `{周期}`, `{起数}`, `{群名}`.

They are part of what is approved. A text is filled with them before anything else is done with it,
so it is linted, measured, bound and sent as it will be read; the variables that are left in it are
filled for each person.
"""

import re
from collections.abc import Iterator, Mapping

from service.accounts.departments.department import CASE_KINDS
from service.messages.lint.lint_values import carries_number, tells
from service.messages.template import MAX_VALUE, planned, slots, variables
from service.messages.value_kinds import KIND_WORDS, Allowed, fits
from service.messages.value_sources import PERSON_VARIABLES, POLICE_VARIABLES
from service.words.phrase import Phrase, Sentence, listing, phrase

PlanValues = tuple[tuple[str, str], ...]
"""The variables with their values, in the order of their names."""


def plan_values(values: Mapping[str, str]) -> PlanValues:
    """Values as a plan keeps them."""
    return tuple(sorted(values.items()))


def value_problems(
    text: str, values: PlanValues, kind: str, *, from_bulletin: bool = False
) -> dict[str, str]:
    """What is wrong with the values that a plan gives a text, by variable; empty if nothing is.

    kind: of the department that sends it. from_bulletin: whether its figures on cases are taken
    from a bulletin; nobody types them.
    """
    given, wanted = dict(values), planned(text)
    found = {
        name: TYPED_FIGURE if name in POLICE_VARIABLES else _missing(wanted[name])
        for name in wanted
        if name not in given
    }
    for name, value in given.items():
        problems = [*_place_problems(text, name, wanted), *_form_problems(value, wanted.get(name))]
        problems += _unit_problems(text, name, value, wanted.get(name))
        if name in POLICE_VARIABLES and not from_bulletin:
            problems.insert(0, TYPED_FIGURE)
        if name in POLICE_VARIABLES and kind not in CASE_KINDS:
            problems.insert(0, _NOT_YOURS)
        if problems:
            found[name] = problems[0]
    return found


_NOT_YOURS = phrase(
    "figures on cases are given by the police or the county's own office alone; take the variable"
    " out of the text"
)
TYPED_FIGURE = phrase(
    "figures on cases are taken from a bulletin, and not typed: leave it out, and give the week of"
    " an issued bulletin in figures_from, or take a text without figures"
)
"""Why a figure on cases is refused that a person gives, and what to do."""


def _missing(allowed: Allowed) -> str:
    return phrase("give it in values: {asked}", asked=_asked(allowed))


def _asked(allowed: Allowed) -> Phrase | Sentence:
    if isinstance(allowed, tuple):
        return phrase("one of {allowed}", allowed=listing(allowed))
    return KIND_WORDS[allowed]


def _place_problems(text: str, name: str, wanted: Mapping[str, Allowed]) -> Iterator[str]:
    if name in wanted:
        return
    if name in PERSON_VARIABLES:
        yield phrase("each person's list fills it; leave it out")
    elif name not in variables(text):
        yield phrase("the text has no such variable; leave it out")
    else:
        yield phrase("it is not known of which kind it is")


def _form_problems(value: str, allowed: Allowed | None) -> Iterator[str]:
    if allowed is None:
        return
    if not value.strip() or value != value.strip() or not value.isprintable():
        yield phrase("one line of text without blanks around it")
    elif len(value) > MAX_VALUE:
        yield phrase("at most {most} characters", most=MAX_VALUE)
    elif not fits(value, allowed) or (allowed in {"name", "place"} and _says_more(value)):
        yield phrase("it must be {asked}", asked=_asked(allowed))


def _unit_problems(text: str, name: str, value: str, allowed: Allowed | None) -> Iterator[str]:
    """An amount whose unit the text says itself: 损失{金额}万元 with 86万元 would say it twice."""
    behind = [text[slot.end :] for slot in slots(text) if slot.variable == name]
    if allowed == "amount" and value[-1:] in _UNITS and any(b[:1] in _UNITS for b in behind if b):
        yield phrase("the text says the unit of the amount itself: give the figure alone")


def in_text(text: str, name: str, value: str) -> str:
    """A figure as a text takes it: an amount in 万元 has its unit unless the text says it."""
    behind = [text[slot.end :] for slot in slots(text) if slot.variable == name]
    has_unit = any(b[:1] in _UNITS for b in behind if b)
    return value if name != "金额" or has_unit else f"{value}万元"


_UNITS = frozenset("万亿元")
_PART = re.compile("[我本](?:镇|乡|村|街道|社区|小区|校|院|单位)")


def of_a_part(text: str) -> bool:
    """Whether a text gives figures of a part of the county, which no bulletin releases by the week:
    本周我镇发生{起数}起 would say the county's figure of a town.
    """
    figures = POLICE_VARIABLES & set(planned(text))
    return bool(figures - {"周期"}) and _PART.search(text) is not None


OF_A_PART = phrase(
    "the figures of a bulletin are of the whole county, and this text gives them of a part of it:"
    " take a text without figures"
)
"""Why such a text is refused."""


def _says_more(value: str) -> bool:
    """Whether a name says more than what something is called. The composed text is linted, too."""
    braces = any(sign in value for sign in "{}【】")
    return braces or tells(value) or carries_number(value, ())
