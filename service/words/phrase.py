"""Sentences that exist in both languages: `phrase("…")` is English, and knows its Chinese.

A `Phrase` is a str in English, so logs, programs and tests read it as they read any sentence;
whoever shows it to a person asks `translated` for the person's language. The Chinese stands in
`zh.po` under the English template; `make words` finds the templates. A template is a literal, and
what fills it has a name: `phrase("{count:,} rows are wrong", count=n)`.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple, Self

from service.words.catalogues import translate

BETWEEN = {
    ", ": "、", "; ": "；", ": ": "：", ". ": "。", " or ": "或", " and ": "和",
    ", or ": "，或", "; or: ": "；或：", " ": "", "": "", "\n  ": "\n  ",
}  # fmt: skip
"""What stands between the parts of a list in English, and in Chinese; all else stays as it is."""


class Sentence(NamedTuple):
    """The same said in Chinese and in English, without a full stop."""

    zh: str
    en: str


class Phrase(str):
    """A sentence in English, with what its Chinese is made of.

    template: English, with places for values as in `str.format`. values: what fills them; those
    that exist in both languages (`Phrase`, `Sentence`, an error that says one) follow the language.
    """

    template: str
    values: Mapping[str, object]

    def __new__(cls, template: str, values: Mapping[str, object]) -> Self:
        """Fill the template."""
        made = super().__new__(cls, template.format(**_shown(values, "en")))
        made.template, made.values = template, values
        return made

    def __reduce__(self) -> tuple[type[Self], tuple[str, Mapping[str, object]]]:
        """What makes it again in another process."""
        return type(self), (self.template, self.values)

    def in_language(self, language: str) -> str:
        """The sentence in `zh` or `en`; in English where the catalogue has no Chinese."""
        return translate(self.template, language).format(**_shown(self.values, language))


class _Listing(Phrase):
    """Parts with something between them."""

    def in_language(self, language: str) -> str:
        """The parts in that language, and what that language sets between them."""
        between = BETWEEN.get(self.template, self.template) if language == "zh" else self.template
        return between.join(str(part) for part in _shown(self.values, language).values())

    def __new__(cls, between: str, parts: Mapping[str, object]) -> Self:
        """Join the parts in English."""
        made = str.__new__(cls, between.join(map(str, _shown(parts, "en").values())))
        made.template, made.values = between, parts
        return made


def phrase(template: str, /, **values: object) -> Phrase:
    """A sentence with its values; `template` is a literal, which the catalogue has in Chinese."""
    return Phrase(template, values)


def pair(zh: str, en: str) -> Phrase:
    """A sentence that has its Chinese beside it, not in the catalogue."""
    return Phrase("{said}", {"said": Sentence(zh, en)})


def listing(parts: Iterable[object], between: str = ", ") -> Phrase:
    """A list inside a sentence, each part in the reader's language; `between`: of `BETWEEN`."""
    return _Listing(between, {str(place): part for place, part in enumerate(parts)})


def translated(text: object, language: str) -> str:
    """What a person reads: a phrase or pair in their language, all else as it is."""
    return str(_in_language(text, language))


def told(text: object, language: str) -> str:
    """What a command says: in the shell's language, or in both where that is not known."""
    if language:
        return translated(text, language)
    return " / ".join(dict.fromkeys((translated(text, "en"), translated(text, "zh"))))


def sentence_of(error: Exception) -> str:
    """What an error says, as the phrase that it was raised with, if it was: `str` forgets that."""
    said = error.args[0] if error.args else None
    return said if isinstance(said, Phrase) else str(error)


def _shown(values: Mapping[str, object], language: str) -> dict[str, object]:
    return {name: _in_language(value, language) for name, value in values.items()}


def _in_language(value: object, language: str) -> object:
    """A value in a language, if it has one; numbers stay numbers, since formats may need them."""
    if isinstance(value, Phrase):
        return value.in_language(language)
    if isinstance(value, Sentence):
        return value.zh if language == "zh" else value.en
    if isinstance(value, Exception) and isinstance(said := sentence_of(value), Phrase):
        return said.in_language(language)
    return value
