"""Words of the weekly report and of the county's pack, in the language of a document (pure)."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from service.documents.document import Column
from service.words.phrase import Phrase, phrase, translated
from service.words.terms import term

RESULTS: Mapping[str, Phrase] = {
    "told": phrase("Told"),
    "not_home": phrase("Not at home"),
    "refused": phrase("Did not want to hear it"),
    "moved": phrase("Moved away"),
    "no_such_person": phrase("No such person"),
    "excused": phrase("Excused"),
}
"""What came of a visit."""


class WeeklyWords:
    """Sentences, instants and shares in the language of a document."""

    def __init__(self, language: str, zone: ZoneInfo) -> None:
        self.language = language
        self._zone = zone

    def say(self, text: object) -> str:
        """A text in the language."""
        return translated(text, self.language)

    def term(self, code: str) -> str:
        """What a code is called."""
        return self.say(term(code))

    def columns(self, *labels: tuple[Phrase, int | None]) -> list[Column]:
        """Columns of a table: what each is called, and the decimals of its numbers."""
        return [Column(self.say(label), decimals) for label, decimals in labels]

    def at(self, instant: datetime | str | None) -> str:
        """An instant to the minute, in the county's zone; nothing where there is none."""
        if instant is None:
            return ""
        if isinstance(instant, str):
            instant = datetime.fromisoformat(instant)
        return f"{instant.astimezone(self._zone):%Y-%m-%d %H:%M}"

    def counts(self, found: Mapping[str, int], words: Mapping[str, Phrase]) -> str:
        """Counts by a code in one cell; a dash where there is none."""
        each = [f"{self.say(words.get(code, code))} {n}" for code, n in found.items()]
        return ("；" if self.language == "zh" else "; ").join(each) or "–"

    def listed(self, found: Mapping[str, int]) -> str:
        """Counts by a name in one cell; a dash where there is none."""
        return self.counts(found, {})


def share(text: str | None) -> Decimal | None:
    """A share that figures hold as text, as a number."""
    return None if text is None else Decimal(text)
