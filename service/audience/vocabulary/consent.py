"""What shows that people consented to be written to (pure).

A list that rests on the department's duty, on a contract or on an emergency needs nobody's consent
(PIPL article 13). One that rests on consent does, and the department must be able to show it: where
it is kept, since when, who asked for it, in which way, and the wording that was agreed to (articles
14 and 17). A file without that is taken all the same, and what is missing is shown.
"""

from dataclasses import dataclass
from datetime import date
from typing import Literal, get_args

from service.errors import Invalid
from service.words.phrase import listing, phrase

CONSENT = "consent"

ConsentWay = Literal["paper", "online", "sms", "phone", "in_person"]
WAYS: tuple[ConsentWay, ...] = get_args(ConsentWay)
"""In which way people said yes."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """reference: where the consent is kept, "": nothing shows it. on: the day it was given, of many
    people the last. by: who asked for it. how: of WAYS. form: the wording agreed to, with its
    version.
    """

    reference: str = ""
    on: date | None = None
    by: str = ""
    how: str | None = None
    form: str = ""

    def problems(self, today: date) -> dict[str, str]:
        """What of it makes no sense, by field; nothing at all is no problem."""
        fields: dict[str, str] = {}
        if not self.reference and self != NOTHING:
            fields["evidence"] = phrase("say where the consent is kept, such as a file number")
        if self.reference and self.on is None:
            fields["evidence_on"] = phrase("give the day of the consent")
        if self.on is not None and self.on > today:
            fields["evidence_on"] = phrase("this day is yet to come")
        if self.how is not None and self.how not in WAYS:
            fields["evidence_how"] = phrase("write one of {ways}", ways=listing(WAYS))
        return fields


NOTHING = Evidence()
"""That nothing shows a consent, or none is needed."""


def check_evidence(basis: str, evidence: Evidence, today: date) -> None:
    """Refuse a list on the basis of consent that nothing shows.

    Raises:
        Invalid: with every field that is missing or makes no sense.
    """
    fields = evidence.problems(today)
    if basis == CONSENT and not evidence.reference:
        fields["evidence"] = phrase("say where the consent is kept, such as a file number")
    if fields:
        raise Invalid(phrase("the basis of the list is not shown"), fields=fields)
