"""Groups that a county begins with: whom each means, and what a list must say for it (pure)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from service.audience.vocabulary.choices import CARRIERS
from service.words.phrase import Phrase, Sentence, phrase


@dataclass(frozen=True, slots=True)
class ReadyGroup:
    """A group that is offered until one is saved.

    chosen: what is ticked, by the field of the form. needs: which list or column it takes.
    """

    code: str
    name: Sentence
    chosen: Mapping[str, Sequence[str]]
    needs: Phrase


_ROLE = phrase("A list whose column 身份 says so")

READY_GROUPS = (
    ReadyGroup(
        "everybody",
        Sentence("全县群众", "Everybody in the county"),
        {"carrier": list(CARRIERS)},
        phrase("Any list of numbers"),
    ),
    ReadyGroup("finance", Sentence("财务人员", "Finance staff"), {"role": ["finance"]}, _ROLE),
    ReadyGroup(
        "school",
        Sentence("家长与学校", "Parents and schools"),
        {"role": ["parent", "teacher"]},
        phrase("Lists of schools, whose column 身份 says 家长 or 教师"),
    ),
    ReadyGroup(
        "elderly",
        Sentence("60岁以上", "60 and older"),
        {"age_from": ["60"]},
        phrase("A list with a column 年龄 or 年龄段"),
    ),
    ReadyGroup(
        "women",
        Sentence("妇女", "Women"),
        {"gender": ["f"]},
        phrase("A list with a column 性别"),
    ),
    ReadyGroup("bank", Sentence("银行员工", "Bank staff"), {"role": ["bank_staff"]}, _ROLE),
    ReadyGroup(
        "returnee", Sentence("返乡人员", "Returning migrants"), {"role": ["returnee"]}, _ROLE
    ),
)
