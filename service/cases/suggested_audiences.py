"""Whom a kind of fraud is aimed at: audiences by kind, and the rule that means each (pure).

The shipped table is that of victims by kind as police statistics have it (docs/suggestions.md); a
county sets its own. An audience is a role of lists, or one of two that lists do not say as a role.
"""

from collections.abc import Mapping, Sequence

from service.audience.vocabulary.choices import CARRIERS
from service.audience.vocabulary.roles import ROLE_TITLES, ROLES_IN_ENGLISH
from service.words.phrase import Sentence

EVERYONE, WOMEN, ELDERLY = "everyone", "women", "elderly"

AUDIENCES: Mapping[str, Sentence] = {
    EVERYONE: Sentence("全体群众", "everybody"),
    WOMEN: Sentence("妇女", "women"),
    **{key: Sentence(title, ROLES_IN_ENGLISH[key]) for key, title in ROLE_TITLES.items()},
}
"""What each audience is called."""

Audiences = Mapping[str, Sequence[str]]
"""The audiences of each kind of fraud, by its key, in their order."""

SHIPPED: Audiences = {
    "T01": ("student", "parent", WOMEN, "site_worker", "returnee", EVERYONE),
    "T02": ("owner", EVERYONE),
    "T04": ("shop", WOMEN, EVERYONE),
    "T05": ("site_worker", EVERYONE),
    "T06": ("student",),
    "T07": ("finance", "owner", ELDERLY),
    "T08": ("finance", WOMEN, ELDERLY),
    "T09": (WOMEN,),
    "T10": ("student", "parent"),
    "T11": ("returnee",),
    "T12": ("parent",),
    "T13": (ELDERLY,),
    "T14": ("student",),
    "T17": ("site_worker", "returnee"),
}
"""What holds until a county sets its own table. A kind that is not in it is everybody's."""


def audiences_of(kind: str, table: Audiences) -> tuple[str, ...]:
    """The audiences of a kind of fraud."""
    return tuple(table.get(kind, (EVERYONE,)))


def rule_of(audiences: Sequence[str], area: str) -> str:
    """The rule that means all of these people, in the language of rules.

    area: the code of a town; "": the whole county.
    """
    place = f'area = "{area}"' if area else ""
    if EVERYONE in audiences:
        return place or f"carrier in ({', '.join(CARRIERS)})"
    roles = [name for name in audiences if name not in {WOMEN, ELDERLY}]
    asked = []
    if roles:
        asked.append(f'role = "{roles[0]}"' if len(roles) == 1 else f"role in ({', '.join(roles)})")
    if WOMEN in audiences:
        asked.append("gender = f")
    if ELDERLY in audiences:
        # Of lists that say an age, and of those that say the role.
        asked += [f'role = "{ELDERLY}"', "age >= 60"]
    people = " or ".join(asked)
    if not place:
        return people
    return f"{place} and ({people})" if len(asked) > 1 else f"{place} and {people}"
