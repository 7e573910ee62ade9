"""The catalogue of Chinese words, `zh.po`, and whose language is asked for.

English is what stands in code and templates, so there is one catalogue. It is read once a process,
and only when somebody reads Chinese. `Catalogue` is what Jinja's i18n extension takes:
`environment.install_gettext_translations(Catalogue("zh"), newstyle=True)`, with the policy
`ext.i18n.trimmed` set, as `make words` reads templates so.
"""

import os
from collections.abc import Mapping
from functools import cache

LANGUAGES = ("zh", "en")
SHELL = ("TOCSIN_LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")
"""What tells a command's language; the first that is set counts."""


def translate(msgid: str, language: str) -> str:
    """A sentence or template in a language; in English where the catalogue lacks it."""
    return translate_in(None, msgid, language)


def translate_in(context: str | None, msgid: str, language: str) -> str:
    """The same for a word that has several meanings; `context`: its `msgctxt`."""
    return chinese().get((context, msgid)) or msgid if language == "zh" else msgid


def chosen(accept_language: str, default: str) -> str:
    """The language that a header `Accept-Language` (RFC 9110 §12.5.4) prefers of `LANGUAGES`.

    `default` where it names none of them or prefers whatever there is.
    """
    best, weight = default, 0.0
    for item in accept_language.split(","):
        named, *parameters = (part.strip().lower() for part in item.split(";"))
        found = default if named == "*" else named.partition("-")[0]
        if found in LANGUAGES and (given := _weight(parameters)) > weight:
            best, weight = found, given
    return best


def of_shell(environment: Mapping[str, str] = os.environ) -> str:
    """The language of whoever runs a command: that of the first of `SHELL` that is set; nothing
    where none is told, as for services and in containers.
    """
    told = next((environment[name] for name in SHELL if environment.get(name)), "C")
    if told.partition(".")[0] in {"C", "POSIX"}:
        return ""
    return "zh" if told.lower().startswith("zh") else "en"


class Catalogue:
    """The words of one language under the names of gettext.

    Chinese nouns have no plural: the catalogue has the plural sentence alone.
    """

    def __init__(self, language: str) -> None:
        self.language = language

    def gettext(self, message: str) -> str:
        """A sentence."""
        return translate(message, self.language)

    def ngettext(self, singular: str, plural: str, n: int) -> str:
        """A sentence that depends on a number."""
        return singular if self.language == "en" and n == 1 else self.gettext(plural)

    def pgettext(self, context: str, message: str) -> str:
        """A word in one of its meanings."""
        return translate_in(context, message, self.language)

    def npgettext(self, context: str, singular: str, plural: str, n: int) -> str:
        """The same, where it depends on a number."""
        one = self.language == "en" and n == 1
        return singular if one else self.pgettext(context, plural)


def _weight(parameters: list[str]) -> float:
    """The weight that parameters give a language; none for one that cannot be read."""
    given = next((part.removeprefix("q=") for part in parameters if part.startswith("q=")), "1")
    try:
        return min(float(given), 1.0)
    except ValueError:
        return 0.0


@cache
def chinese() -> Mapping[tuple[str | None, str], str]:
    """All entries, by context and sentence; reading them takes a sixth of a second, once."""
    from importlib.resources import files  # noqa: PLC0415  # who reads English needs neither

    import polib  # noqa: PLC0415

    text = (files("service.words") / "zh.po").read_text("utf-8")
    return {(entry.msgctxt, entry.msgid): entry.msgstr for entry in polib.pofile(text)}
