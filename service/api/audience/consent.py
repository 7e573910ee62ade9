"""What shows a consent, as it is given and shown."""

from datetime import date
from typing import Any

from pydantic import Field

from service.api.http.schema import Body, Day, OptionalLine, Out
from service.audience.vocabulary.consent import ConsentWay, Evidence

FIELDS = ("evidence", "evidence_on", "evidence_by", "evidence_how", "evidence_form")


class EvidenceBody(Body):
    """What shows that the people consented, where the basis is consent."""

    evidence: OptionalLine = Field(
        default="", description="Where the consent is kept, such as a file number."
    )
    evidence_on: Day | None = Field(
        default=None, description="The day of the consent; of many people's, the last."
    )
    evidence_by: OptionalLine = Field(default="", description="Who asked for it.")
    evidence_how: ConsentWay | None = Field(default=None, description="In which way it was given.")
    evidence_form: OptionalLine = Field(
        default="", description="The wording that was agreed to, with its version."
    )

    @property
    def shown(self) -> Evidence:
        """The same as the application has it."""
        return Evidence(*(getattr(self, name) for name in FIELDS))


class EvidenceOut(Out):
    """What shows that the people consented, if anything does."""

    evidence: str = Field(description='Where the consent is kept; "": nothing shows one.')
    evidence_on: date | None
    evidence_by: str = Field(description="Who asked for it.")
    evidence_how: ConsentWay | None = Field(description="In which way it was given.")
    evidence_form: str = Field(description="The wording that was agreed to, with its version.")


def evidence_of(record: Any) -> Evidence:
    """What a record with these five fields says."""
    return Evidence(*(getattr(record, name) for name in FIELDS))
