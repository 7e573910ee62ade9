"""What lint may be told without a release: levels of rules, and lists that a county keeps.

The rules ship with their levels and lists (`data/lint.json`); a county's changes lie over them. Of
a department lint knows its sender: the signatures and numbers that are registered for it.
"""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from typing import Any, Literal, get_args

from service.errors import Invalid
from service.words.phrase import Phrase, listing, pair, phrase

Level = Literal["block", "review", "warn"]
LEVELS: tuple[Level, ...] = get_args(Level)

LISTS = ("hotlines", "protected_names", "link_hosts")
"""The lists of a policy, each of plain words."""

ANY_CARRIER = "*"

FEWEST_SHOWN, MOST_SHOWN = 3, 20
"""Between which numbers a county sets the smallest count that may be shown (`small_count`)."""

_DATA = files("service.messages") / "data"


@dataclass(frozen=True, slots=True)
class RuleInfo:
    """What a rule asks for, in Chinese and English, where it comes from, and its own level."""

    number: str
    level: Level
    chinese: str
    english: str
    source: Phrase


@dataclass(frozen=True, slots=True)
class Policy:
    """A county's levels and lists.

    levels: of the rules whose level is not their own.
    never_words: by carrier; those under `*` hold for all. small_count: a count of people or cases
    below it is not shown where it could point at one of them.
    """

    levels: Mapping[str, Level]
    hotlines: frozenset[str]
    protected_names: frozenset[str]
    link_hosts: frozenset[str]
    never_words: Mapping[str, tuple[str, ...]]
    small_count: int

    def level(self, number: str, own: Level) -> Level:
        """The level of a finding: the county's, if the rule gave it its usual one."""
        return self.levels.get(number, own) if own == RULE_INFO[number].level else own

    def level_of(self, number: str) -> Level:
        """The level of a rule's usual findings."""
        return self.levels.get(number, RULE_INFO[number].level)

    def as_json(self) -> dict[str, Any]:
        """Everything in plain types, ordered, so that equal policies are equal texts."""
        return {
            "levels": dict(sorted(self.levels.items())),
            **{name: sorted(getattr(self, name)) for name in LISTS},
            "never_words": {key: list(words) for key, words in sorted(self.never_words.items())},
            "small_count": self.small_count,
        }


@dataclass(frozen=True, slots=True)
class TextSender:
    """Whose text it is, as far as lint asks.

    tenant, kind: the department's name and what it is.
    signatures: registered for it, without 【】.
    landlines: registered numbers, in digits only.
    links: whether it may write links at all; to which hosts says the policy.
    """

    tenant: str
    kind: str
    signatures: frozenset[str] = field(default_factory=frozenset)
    landlines: frozenset[str] = field(default_factory=frozenset)
    links: bool = False


def digits(number: str) -> str:
    """The digits of a number as people write it, with dashes, spaces or brackets."""
    return re.sub(r"[\s()（）-]", "", number)


def _read(name: str) -> Any:
    return json.loads((_DATA / name).read_text("utf-8"))


_SHIPPED = _read("lint.json")

RULE_INFO: Mapping[str, RuleInfo] = {
    number: RuleInfo(number, rule["level"], rule["zh"], rule["en"], pair(**rule["source"]))
    for number, rule in _SHIPPED["rules"].items()
}
"""Every rule by its number."""

SCAM_TEXTS: tuple[str, ...] = tuple(_read("scam_texts.json")["texts"])
"""What fraudsters write, made up after reports, to compare with."""


def policy_from(changes: Mapping[str, Any]) -> Policy:
    """The shipped policy with a county's changes over it.

    Raises:
        Invalid: an unknown rule or level; a list that holds what it cannot.
    """
    merged = {**_SHIPPED, "levels": {}, **changes}
    _check_levels(merged["levels"])
    _check_hotlines(merged["hotlines"])
    _check_hosts(merged["link_hosts"])
    _check_small_count(merged["small_count"])
    return Policy(
        levels=dict(merged["levels"]),
        never_words={key: tuple(words) for key, words in merged["never_words"].items()},
        **{name: frozenset(merged[name]) for name in LISTS},
        small_count=merged["small_count"],
    )


def _check_levels(levels: Mapping[str, str]) -> None:
    for number, level in levels.items():
        if number not in RULE_INFO:
            raise Invalid.at(
                f"levels.{number}",
                phrase(
                    "there is no rule {number}; the rules are R01 to R{count}",
                    number=number,
                    count=len(RULE_INFO),
                ),
            )
        if level not in LEVELS:
            raise Invalid.at(
                f"levels.{number}",
                phrase("the level must be one of {levels}", levels=listing(LEVELS)),
            )


def _check_hotlines(hotlines: list[str]) -> None:
    for place, number in enumerate(hotlines):
        if not (number.isascii() and number.isdecimal() and 3 <= len(number) <= 6):
            raise Invalid.at(
                f"hotlines.{place}",
                phrase("a hotline has 3 to 6 digits; other numbers are registered by department"),
            )


def _check_small_count(count: int) -> None:
    if not FEWEST_SHOWN <= count <= MOST_SHOWN:
        raise Invalid.at(
            "small_count",
            phrase(
                "the smallest count that is shown is from {fewest_shown} to {most_shown}",
                fewest_shown=FEWEST_SHOWN,
                most_shown=MOST_SHOWN,
            ),
        )


_OPEN_TO_ALL = frozenset({"gov.cn", "com.cn", "net.cn", "org.cn", "edu.cn", "ac.cn", "co.uk"})
"""Under these anybody can have a name of their own."""


def _check_hosts(hosts: list[str]) -> None:
    for place, host in enumerate(hosts):
        labels = host.split(".")
        whole = len(labels) > 1 and all(_LABEL.fullmatch(label) for label in labels)
        if not whole or host in _OPEN_TO_ALL:
            raise Invalid.at(
                f"link_hosts.{place}",
                phrase("a host is a registered domain in lower case, e.g. jdga.gov.cn"),
            )


_LABEL = re.compile("(?!xn--)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")

SHIPPED = policy_from({})
"""The policy of a county that has changed nothing."""


def stricter(one: Level, other: Level) -> Level:
    """The stricter of two levels."""
    return min(one, other, key=LEVELS.index)


def tightened(in_force: Policy, wanted: Policy) -> Policy:
    """What of both is stricter: the higher level of each rule, the fewer that may be named and
    linked to, and all names and words that may not.
    """
    return Policy(
        levels={
            number: stricter(in_force.level_of(number), wanted.level_of(number))
            for number in RULE_INFO
        },
        hotlines=in_force.hotlines & wanted.hotlines,
        link_hosts=in_force.link_hosts & wanted.link_hosts,
        protected_names=in_force.protected_names | wanted.protected_names,
        never_words=_joined(in_force.never_words, wanted.never_words),
        small_count=max(in_force.small_count, wanted.small_count),
    )


def loosened(in_force: Policy, before: Policy) -> Policy:
    """What of both is less strict; the opposite of `tightened`."""
    return Policy(
        levels={
            number: max(in_force.level_of(number), before.level_of(number), key=LEVELS.index)
            for number in RULE_INFO
        },
        hotlines=in_force.hotlines | before.hotlines,
        link_hosts=in_force.link_hosts | before.link_hosts,
        protected_names=in_force.protected_names & before.protected_names,
        never_words={
            carrier: tuple(word for word in words if word in before.never_words.get(carrier, ()))
            for carrier, words in in_force.never_words.items()
        },
        small_count=min(in_force.small_count, before.small_count),
    )


def without_words(policy: Policy, words: Collection[tuple[str, str]]) -> Policy:
    """A policy less some never-words, each with its carrier."""
    kept = {
        carrier: tuple(word for word in listed if (carrier, word) not in words)
        for carrier, listed in policy.never_words.items()
    }
    return replace(policy, never_words=kept)


def weakened(in_force: Policy, wanted: Policy) -> list[str]:
    """What a policy is less strict in than the one in force, each by its field; empty: nothing."""
    found = [
        f"levels.{number}"
        for number in RULE_INFO
        if LEVELS.index(wanted.level_of(number)) > LEVELS.index(in_force.level_of(number))
    ]
    found += [f"hotlines.{number}" for number in sorted(wanted.hotlines - in_force.hotlines)]
    found += [f"link_hosts.{host}" for host in sorted(wanted.link_hosts - in_force.link_hosts)]
    gone = in_force.protected_names - wanted.protected_names
    found += [f"protected_names.{name}" for name in sorted(gone)]
    for carrier, words in sorted(in_force.never_words.items()):
        kept = wanted.never_words.get(carrier, ())
        found += [f"never_words.{carrier}.{word}" for word in words if word not in kept]
    return found + ["small_count"] * (wanted.small_count < in_force.small_count)


def changes_to(policy: Policy) -> dict[str, Any]:
    """The changes of what is shipped that make this policy; lists that are as shipped are left
    out, so that they follow a new version of the program.
    """
    own, shipped = policy.as_json(), SHIPPED.as_json()
    levels = {n: policy.level_of(n) for n in RULE_INFO if policy.level_of(n) != RULE_INFO[n].level}
    lists = {name: own[name] for name in own if name != "levels" and own[name] != shipped[name]}
    return {"levels": levels, **lists}


def _joined(
    one: Mapping[str, Sequence[str]], other: Mapping[str, Sequence[str]]
) -> dict[str, tuple[str, ...]]:
    """The words of both by carrier, each once."""
    return {
        key: tuple(dict.fromkeys((*one.get(key, ()), *other.get(key, ()))))
        for key in {**one, **other}
    }


def with_shipped_words(never_words: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """These never-words and those shipped, by carrier, each once."""
    return _joined(SHIPPED.never_words, never_words)


def for_unread_words(policy: Policy) -> Policy:
    """The policy for what no second person reads: no level and no never-word below those shipped,
    whatever the county has set; what it has made stricter holds.
    """
    levels = {
        number: stricter(level, RULE_INFO[number].level) for number, level in policy.levels.items()
    }
    return replace(
        policy,
        levels=levels,
        never_words=with_shipped_words(policy.never_words),
        small_count=max(policy.small_count, SHIPPED.small_count),
    )
