"""What is kept of persons, what was erased, and what is past its term, in words (pure)."""

from collections.abc import Mapping
from typing import Final

from service.words.phrase import Phrase, phrase

SEEN_AS: Final[Mapping[str, Phrase]] = {
    "contact": phrase("as a person on a list"),
    "message": phrase("as the recipient of a text"),
    "inbound": phrase("as the sender of a text"),
    "lookup": phrase("by looking the number up"),
}
"""How somebody saw a number in full, or asked for it."""

KEPT: Final[Mapping[str, Phrase]] = {
    "numbers": phrase("numbers and names of texts that were sent"),
    "texts": phrase("senders and words of texts from handsets"),
    "arrivals": phrase("texts from handsets as they arrived"),
    "receipts": phrase("receipts that fit no text"),
    "rejects": phrase("rejected rows of imports"),
    "list_entries": phrase("entries of lists that have ended"),
    "left_entries": phrase("entries that a newer list took off"),
    "guests": phrase("guests of trial keys"),
    "former_people": phrase("people who had a duty for a department"),
    "logins": phrase("sessions and failed logins"),
    "passwords": phrase("given passwords that nobody confirmed"),
    "records": phrase("entries of the audit trail and who saw whom"),
}
"""What goes once its term is over."""

ERASED: Final[Mapping[str, Phrase]] = {
    "persons": phrase("persons"),
    "contacts": phrase("persons on lists"),
    "links": phrase("entries of lists"),
    "guests": phrase("guests of trial keys"),
    "duties": phrase("duties for departments"),
    "pending": phrase("persons whom an import held just then"),
    "cancelled": phrase("texts that waited, cancelled"),
    "kept": phrase("texts sent, kept locked"),
}
"""What erasures amounted to."""


def counts_of(
    counts: Mapping[str, int], words: Mapping[str, Phrase]
) -> list[tuple[Phrase | str, int]]:
    """Counts with their words: those that are known in the order of the table, then all others."""
    known: list[tuple[Phrase | str, int]] = [
        (word, counts[code]) for code, word in words.items() if code in counts
    ]
    return known + [(code, count) for code, count in counts.items() if code not in words]
