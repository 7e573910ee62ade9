"""What filings and the news of texts are called."""

from collections.abc import Mapping
from typing import Final

from service.words.phrase import Phrase, phrase

FILING_STATES: Final[Mapping[str, Phrase]] = {
    "submitted": phrase("handed in, no answer yet"),
    "filed": phrase("filed"),
    "refused": phrase("refused by the carrier"),
    "withdrawn": phrase("taken back by the carrier"),
}
FILING_MARKS: Final[Mapping[str, str]] = {
    "submitted": "run",
    "filed": "done",
    "refused": "bad",
    "withdrawn": "bad",
}
NEWS: Final[Mapping[str, Phrase]] = {
    "withdrawn": phrase("Whoever offered these words has withdrawn them. Nobody may send them."),
    "corrected": phrase("The words were wrong, and are corrected where this text comes from."),
    "revised": phrase("There is a newer version where this text comes from."),
}
