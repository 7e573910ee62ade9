"""Lint's rules, the county's levels and lists, and what a department may write."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from service.accounts.department_store import get_department
from service.api.call import Call
from service.api.schema import Body, Instant, Line, Out, Query
from service.errors import Forbidden, Invalid
from service.messages import lint_store
from service.messages.lint_store import Change
from service.messages.policy import RULE_INFO, Level, Policy, digits, policy_from

Words = Annotated[list[Line], Field(max_length=2000)]
Carrier = Literal["*", "china_mobile", "china_unicom", "china_telecom", "china_broadnet"]


class RuleOut(Out):
    """A rule: what it asks for, where it comes from, its own level and the county's."""

    rule: str
    level: str
    shipped_level: str
    chinese: str
    english: str
    source: str


class PolicyOut(Out):
    """All rules, and the lists that they read."""

    rules: list[RuleOut]
    hotlines: list[str]
    protected_names: list[str]
    link_hosts: list[str]
    never_words: dict[str, list[str]]


class PolicyBody(Body):
    """What is to hold instead of what is shipped; a field that is left out is as shipped."""

    levels: dict[Line, Level] = Field(default={}, max_length=100)
    hotlines: Words | None = None
    protected_names: Words | None = None
    link_hosts: Words | None = Field(
        default=None, description="Domains that departments with links enabled may link to."
    )
    never_words: dict[Carrier, Words] | None = None
    reason: Line

    def changes(self) -> dict[str, Any]:
        """The changes that the rules know."""
        return self.model_dump(exclude_none=True, exclude={"reason"})


class ChangeOut(Out):
    """One change: what it set, why, by whom and when."""

    no: int
    content: dict[str, Any]
    reason: str
    changed_by: UUID | None
    changed_at: Instant


class ChangesOut(Out):
    """Changes, from new to old."""

    items: list[ChangeOut]


class ChangesQuery(Query):
    """Which changes."""

    before: int | None = Field(
        default=None, ge=1, le=2**31 - 1, description="Only changes before this number."
    )
    limit: int = Field(default=50, ge=1, le=200)


class SenderBody(Body):
    """What a department may write."""

    landlines: Annotated[list[Line], Field(max_length=100)] = Field(
        description="Numbers that are the department's own, e.g. 0563-0600110."
    )
    links: bool = Field(default=False, description="Whether it may link to the county's hosts.")
    reason: Line


class SenderOut(Out):
    """What lint knows of a department, and how it came about."""

    signatures: list[str]
    landlines: list[str]
    links: bool
    history: list[ChangeOut]


async def get_rules(call: Call) -> PolicyOut:
    """Show lint's rules with their levels, and the lists that hold."""
    return _policy_out(await lint_store.policy_get(call.conn))


async def set_rules(call: Call, body: PolicyBody) -> PolicyOut:
    """Let other levels and lists hold; all that is not said is as shipped."""
    _need_county(call)
    changes = body.changes()
    await lint_store.policy_set(call.conn, changes, body.reason, call.user.id, call.now)
    call.note("lint_policy", "county", rules=len(body.levels))
    return _policy_out(policy_from(changes))


async def list_rule_changes(call: Call, query: ChangesQuery) -> ChangesOut:
    """List what was changed of lint's rules, from new to old."""
    found = await lint_store.policy_history(call.conn, query.before, query.limit)
    return ChangesOut(items=[_change_out(change) for change in found])


async def get_sender(call: Call, department_id: UUID) -> SenderOut:
    """Show what a department may sign with and write."""
    return await _sender_out(call, department_id)


async def set_sender(call: Call, department_id: UUID, body: SenderBody) -> SenderOut:
    """Register the numbers of a department, and whether it may write links."""
    _need_county(call)
    await get_department(call.conn, department_id, None)
    landlines = [digits(number) for number in body.landlines]
    for place, number in enumerate(landlines):
        if not (number.isascii() and number.isdecimal() and 3 <= len(number) <= 12):
            problem = "a number has 3 to 12 digits, perhaps with dashes"
            raise Invalid(problem, fields={f"landlines.{place}": problem})
    what = (sorted(set(landlines)), body.links)
    await lint_store.sender_set(call.conn, department_id, what, body.reason, call.user.id, call.now)
    return await _sender_out(call, department_id)


def _need_county(call: Call) -> None:
    if not call.user.runs_the_county:
        raise Forbidden("only an administrator of the county changes what lint allows")


def _policy_out(policy: Policy) -> PolicyOut:
    rules = [
        RuleOut(
            rule=info.number,
            level=policy.levels.get(info.number, info.level),
            shipped_level=info.level,
            chinese=info.chinese,
            english=info.english,
            source=info.source,
        )
        for info in RULE_INFO.values()
    ]
    lists = policy.as_json()
    return PolicyOut(
        rules=rules,
        hotlines=sorted(policy.hotlines, key=lambda number: (len(number), number)),
        protected_names=lists["protected_names"],
        link_hosts=lists["link_hosts"],
        never_words=lists["never_words"],
    )


async def _sender_out(call: Call, department_id: UUID) -> SenderOut:
    scope = call.user.scope
    await get_department(call.conn, department_id, None if scope is None else [scope])
    sender = await lint_store.sender_get(call.conn, department_id)
    history = await lint_store.sender_history(call.conn, department_id)
    return SenderOut(
        signatures=sorted(sender.signatures - {""}),
        landlines=sorted(sender.landlines),
        links=sender.links,
        history=[_change_out(change) for change in history],
    )


def _change_out(change: Change) -> ChangeOut:
    return ChangeOut(
        no=change.no,
        content=dict(change.content),
        reason=change.reason,
        changed_by=change.changed_by,
        changed_at=change.changed_at,
    )
