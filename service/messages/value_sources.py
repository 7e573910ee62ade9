"""What fills the variables of a campaign's text: facts of each person's contact and lists, and what
its plan says once for all (pure).

One table for all that asks: a new variable is a row here. Of a list a person may have several
entries; all the values of one person come from one of them (`segment_sql`).
"""

from collections.abc import Iterable, Mapping
from typing import Literal, get_args

from service.messages.value_kinds import Allowed, ValueKind

ContactFact = Literal["name", "town", "village"]
"""What a contact itself has: the name, and the names of its area and of the town above."""

ListFact = Literal["org", "school", "college", "office", "grade", "class", "group", "role"]
"""What an entry of a list says; a field of `audience.vocabulary.fields` by its code."""

Fact = Literal[ContactFact, ListFact]

LIST_FACTS: tuple[ListFact, ...] = get_args(ListFact)

CONTACT_VARIABLES: Mapping[str, ContactFact] = {
    "姓名": "name",
    "name": "name",
    "乡镇": "town",
    "town": "town",
    "社区": "village",
    "村": "village",
    "village": "village",
}
"""The variables that a contact fills: the first link's name, the area's names."""

LIST_VARIABLES: Mapping[str, ListFact] = {
    "单位": "org",
    "org": "org",
    "学校": "school",
    "school": "school",
    "学院": "college",
    "college": "college",
    "科室": "office",
    "office": "office",
    "年级": "grade",
    "grade": "grade",
    "班级": "class",
    "class": "class",
    "村民组": "group",
    "group": "group",
    "职务": "role",
    "身份": "role",
    "role": "role",
}
"""The variables that an entry of a list fills."""

PERSON_VARIABLES: Mapping[str, Fact] = {**CONTACT_VARIABLES, **LIST_VARIABLES}
"""All variables that are filled for each person by what is known of the person."""

PLAN_VARIABLES: Mapping[str, ValueKind] = {
    "周期": "period",
    "起数": "number",
    "金额": "amount",
    "类型": "frauds",
    "群名": "place",
}
"""The variables that a plan fills without their text saying of which kind they are."""

POLICE_VARIABLES = frozenset({"周期", "起数", "金额", "类型"})
"""Figures on cases: the police and the county's own office alone give them."""

LONGEST_LISTED: Mapping[ListFact, int] = {
    **dict.fromkeys(LIST_FACTS, 20),
    "org": 30,
    "school": 30,
}
"""How many characters a value of a list may have in a text: the full names of firms and schools are
longer than other values. Who has a longer one counts as somebody without.
"""


def facts_of(names: Iterable[str]) -> set[Fact]:
    """The facts of a person that variables of these names take; others take none."""
    return {PERSON_VARIABLES[name] for name in names if name in PERSON_VARIABLES}


def listed_of(facts: Iterable[Fact]) -> dict[str, int]:
    """Those of these facts that lists say, in the order of the table, with the most characters that
    each may have.
    """
    wanted = set(facts)
    return {fact: LONGEST_LISTED[fact] for fact in LIST_FACTS if fact in wanted}


def planned_kind(name: str, said: Allowed | None) -> Allowed | None:
    """What a plan may fill a variable with; None: it does not fill it.

    said: what the text says of it.
    """
    if name in PERSON_VARIABLES:
        return None
    return said or PLAN_VARIABLES.get(name)
