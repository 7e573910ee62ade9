"""Kinds of fraud: a county's list, found by key, slug or name (pure).

The shipped list follows that of the Ministry of Public Security. `in_texts` is how texts call a
kind: one of the words that fill the variable 类型 (`messages.value_kinds`).
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from service.audience.vocabulary.cells import squeeze, text_form


class FraudType(NamedTuple):
    """A kind of fraud. four_high: one of the four that plans call 四类高发."""

    key: str
    slug: str
    name: str
    english: str
    in_texts: str
    four_high: bool


class FraudTypes:
    """The kinds of a county, in their order."""

    def __init__(self, kinds: Iterable[FraudType]) -> None:
        self.kinds: Sequence[FraudType] = tuple(kinds)
        self._found = {
            _form(word): kind
            for kind in reversed(self.kinds)
            for word in (kind.in_texts, kind.english, kind.name, kind.slug, kind.key)
        }

    @property
    def keys(self) -> list[str]:
        """All keys."""
        return [kind.key for kind in self.kinds]

    def find(self, text: str) -> FraudType | None:
        """The kind that a key, slug or name means; None: no kind."""
        return self._found.get(_form(text))

    def named(self, keys: Iterable[str]) -> list[FraudType]:
        """The kinds of these keys, in the order of the keys."""
        by_key = {kind.key: kind for kind in self.kinds}
        return [by_key[key] for key in keys if key in by_key]


def _form(text: str) -> str:
    return squeeze(text_form(text)).lower().replace("，", ",")
