"""What may stand in a text that tells of duties: its variables, and their values."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from service.clock import CHINA
from service.dispatch.direct.direct_values import GivenText
from service.duties.step_store import UntoldStep
from service.errors import Invalid
from service.ledger.message_class import NOTICE
from service.messages.lint.lint_store import sender_get
from service.messages.policy import Policy, for_unread_words
from service.messages.signature import head
from service.messages.store import Template
from service.messages.template import MAX_VALUE, variables
from service.storage.postgres import Connection
from service.words.phrase import listing, phrase

UNIT, TITLE, COUNT, UNITS, DAY, HOUR = "单位", "事项", "项数", "单位数", "日期", "时间"
VARIABLES = (UNIT, TITLE, COUNT, UNITS, DAY, HOUR)
"""The unit, what it owes, how many duties and units the text is about, and the first deadline."""

SAMPLE = {UNIT: "版书镇", TITLE: "周报", COUNT: "2", UNITS: "1", DAY: "10月30日", HOUR: "16:00"}
"""A value of each, in which nothing is wrong."""


async def given_text(conn: Connection, department_id: UUID, text: str, policy: Policy) -> GivenText:
    """A text of a department, to look at the values that are given for it."""
    sender = await sender_get(conn, department_id, head(text).strip("【】"))
    return GivenText(text, department_id, sender, for_unread_words(policy))


async def check_template(
    conn: Connection, department_id: UUID, template: Template, policy: Policy
) -> None:
    """Refuse a template that cannot tell of duties.

    Raises:
        Invalid: it is of another class than service; or has a variable that is not known here, or
            of which it says that it is something else.
    """
    if template.info.message_class != NOTICE:
        raise Invalid.at("template_id", phrase("take a template of the class service"))
    names = variables(template.text)
    if unknown := sorted(set(names) - set(VARIABLES)):
        raise Invalid.at(
            "template_id",
            phrase(
                "nothing is known here for {unknown}; a text of duties has {known} alone",
                unknown=listing(unknown),
                known=listing(VARIABLES),
            ),
        )
    given = await given_text(conn, department_id, template.text, policy)
    try:
        given.check({name: SAMPLE[name] for name in names})
    except Invalid as error:
        raise Invalid.at("template_id", error.message) from error


def values_of(steps: Sequence[UntoldStep], wanted: Sequence[str]) -> dict[str, str]:
    """The values of a text that tells one person of these steps; of each duty once."""
    duties = {one.duty_id: one for one in steps}
    units = sorted({one.department for one in duties.values()})
    titles = sorted({one.title for one in duties.values()})
    first = min(one.due_at for one in duties.values())
    found: Mapping[str, str] = {
        UNIT: _named(units, "家单位"),
        TITLE: _named(titles, "项"),
        COUNT: str(len(duties)),
        UNITS: str(len(units)),
        DAY: _day(first),
        HOUR: f"{first.astimezone(CHINA):%H:%M}",
    }
    return {name: found[name][:MAX_VALUE] for name in wanted}


def _named(names: Sequence[str], counted: str) -> str:
    """The only name, or the first one and how many there are; without it where that is too long."""
    if len(names) == 1:
        return names[0]
    found = f"{names[0]}等{len(names)}{counted}"
    return found if len(found) <= MAX_VALUE else f"{len(names)}{counted}"


def _day(at: datetime) -> str:
    local = at.astimezone(CHINA)
    return f"{local.month}月{local.day}日"
