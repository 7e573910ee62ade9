"""Lint's rules, the county's levels and lists, and what a department may write.

What makes lint less strict waits for a second person; see `messages.lint_changes`.
"""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from service.accounts.departments.department_store import get_department
from service.accounts.manage import need_the_county
from service.accounts.people.proposals import ProposalState, state_of
from service.api.http.call import Call
from service.api.http.schema import Body, Instant, Int, Line, Out, QueryString, TranslatedText
from service.audience.vocabulary.choices import Carrier
from service.errors import Invalid
from service.messages.lint import lint_changes, lint_store
from service.messages.lint.lint_changes import Writes
from service.messages.lint.lint_store import LintChange, LintProposal
from service.messages.policy import RULE_INFO, Level, Policy, digits, policy_from, weakened
from service.words.phrase import phrase

WordList = Annotated[list[Line], Field(max_length=2000)]
AnyCarrier = Literal["*", Carrier]


class RuleOut(Out):
    """A rule: what it asks for, where it comes from, its own level and the county's."""

    rule: str
    level: str
    shipped_level: str
    chinese: str
    english: str
    source: TranslatedText


class HoldsOut(Out):
    """How many texts a proposed never-word would hold back, when it was proposed: approved texts of
    templates, campaigns that are to fire, names (signatures, places), and honest texts that the
    program ships.
    """

    carrier: str
    word: str
    templates: int
    campaigns: int
    names: int
    shipped: int


class ProposalOut(Out):
    """A change that somebody else has to confirm; `content` is all that is to hold then, `weakens`
    names what it makes less strict, and `holds` the new never-words that stand in texts in use.
    """

    id: UUID
    content: dict[str, Any]
    weakens: list[str]
    holds: list[HoldsOut]
    reason: str
    state: ProposalState
    proposed_by: UUID
    proposed_at: Instant


class LintPolicyOut(Out):
    """All rules and the lists that they read, as they hold, and the change that waits, if any."""

    rules: list[RuleOut]
    hotlines: list[str]
    protected_names: list[str]
    link_hosts: list[str]
    never_words: dict[str, list[str]]
    small_count: int = Field(description="Counts below it are not shown to others.")
    waiting: ProposalOut | None


class LintPolicyBody(Body):
    """What is to hold instead of what is shipped; a field that is left out is as shipped."""

    levels: dict[Line, Level] = Field(default={}, max_length=100)
    hotlines: WordList | None = None
    protected_names: WordList | None = None
    link_hosts: WordList | None = Field(
        default=None, description="Domains that departments with links enabled may link to."
    )
    never_words: dict[AnyCarrier, WordList] | None = None
    small_count: Int | None = Field(
        default=None,
        description="The smallest count of people or cases that others may see, 3 to 20.",
    )
    reason: Line

    def changes(self) -> dict[str, Any]:
        """The changes that the rules know."""
        return self.model_dump(exclude_none=True, exclude={"reason"})


class LintChangeOut(Out):
    """One change: what it set, why, by whom and when; `confirmed_by`: the second person, if it made
    lint less strict.
    """

    no: int
    content: dict[str, Any]
    reason: str
    changed_by: UUID | None
    changed_at: Instant
    confirmed_by: UUID | None


class ChangesOut(Out):
    """Changes, from new to old."""

    items: list[LintChangeOut]


class ChangesQuery(QueryString):
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
    waiting: ProposalOut | None
    history: list[LintChangeOut]


async def get_rules(call: Call) -> LintPolicyOut:
    """Show lint's rules with their levels, and the lists that hold."""
    policy = await lint_store.policy_get(call.conn)
    waiting = await lint_store.get_waiting(call.conn, None)
    return _policy_out(
        policy,
        _proposal_out(call, waiting, weakened(policy, policy_from(waiting.content)))
        if waiting
        else None,
    )


async def set_rules(call: Call, body: LintPolicyBody) -> LintPolicyOut:
    """Let other levels and lists hold; all that is not said is as shipped.

    What makes lint less strict waits for another administrator of the county, and so does a
    never-word that stands in texts in use. What one person made stricter alone is undone alone: by
    the same person within an hour, by another administrator of the county within 7 days.
    """
    waiting = await lint_changes.change_policy(
        call.conn, call.user, body.changes(), body.reason, call.now
    )
    call.note("lint_policy", "county", rules=len(body.levels), **_noted(waiting))
    return await get_rules(call)


async def confirm_rules(call: Call, proposal_id: UUID) -> LintPolicyOut:
    """Put proposed levels and lists in force, as the second person. For the county."""
    await lint_changes.confirm(call.conn, call.user, None, proposal_id, call.now)
    call.note("lint_policy", "county", proposal=str(proposal_id))
    return await get_rules(call)


async def list_rule_changes(call: Call, query: ChangesQuery) -> ChangesOut:
    """List what was changed of lint's rules, from new to old."""
    found = await lint_store.policy_history(call.conn, query.before, query.limit)
    return ChangesOut(items=[_change_out(change) for change in found])


async def get_sender(call: Call, department_id: UUID) -> SenderOut:
    """Show what a department may sign with and write."""
    return await _sender_out(call, department_id)


async def set_sender(call: Call, department_id: UUID, body: SenderBody) -> SenderOut:
    """Register the numbers of a department, and whether it may write links.

    What it could not write before waits for another administrator of the county.
    """
    need_the_county(call.user, phrase("change what lint allows"))
    landlines = [digits(number) for number in body.landlines]
    for place, number in enumerate(landlines):
        if not (number.isascii() and number.isdecimal() and 3 <= len(number) <= 12):
            raise Invalid.at(
                f"landlines.{place}", phrase("a number has 3 to 12 digits, perhaps with dashes")
            )
    wanted = Writes(tuple(sorted(set(landlines))), body.links)
    waiting = await lint_changes.change_sender(
        call.conn, call.user, department_id, wanted, body.reason, call.now
    )
    call.note("departments", department_id, **_noted(waiting))
    return await _sender_out(call, department_id)


async def confirm_sender(call: Call, department_id: UUID, proposal_id: UUID) -> SenderOut:
    """Let a department write what was proposed, as the second person. For the county."""
    await lint_changes.confirm(call.conn, call.user, department_id, proposal_id, call.now)
    call.note("departments", department_id, proposal=str(proposal_id))
    return await _sender_out(call, department_id)


def _noted(waiting: LintProposal | None) -> dict[str, str]:
    return {"proposal": str(waiting.id)} if waiting else {}


def _proposal_out(call: Call, proposal: LintProposal, weakens: list[str]) -> ProposalOut:
    state = state_of(proposal, call.now)
    return ProposalOut.model_validate(
        proposal._asdict() | {"content": dict(proposal.content), "weakens": weakens, "state": state}
    )


def _policy_out(policy: Policy, waiting: ProposalOut | None) -> LintPolicyOut:
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
    return LintPolicyOut(
        rules=rules,
        hotlines=sorted(policy.hotlines, key=lambda number: (len(number), number)),
        protected_names=lists["protected_names"],
        link_hosts=lists["link_hosts"],
        never_words=lists["never_words"],
        small_count=policy.small_count,
        waiting=waiting,
    )


async def _sender_out(call: Call, department_id: UUID) -> SenderOut:
    scope = call.user.scope
    await get_department(call.conn, department_id, None if scope is None else [scope])
    sender = await lint_store.sender_get(call.conn, department_id)
    history = await lint_store.sender_history(call.conn, department_id)
    proposed = await lint_store.get_waiting(call.conn, department_id)
    waiting = None
    if proposed is not None:
        own = Writes(tuple(sender.landlines), sender.links)
        more = lint_changes.more_than(own, Writes.of(proposed.content))
        waiting = _proposal_out(call, proposed, more)
    return SenderOut(
        signatures=sorted(sender.signatures - {""}),
        landlines=sorted(sender.landlines),
        links=sender.links,
        waiting=waiting,
        history=[_change_out(change) for change in history],
    )


def _change_out(change: LintChange) -> LintChangeOut:
    return LintChangeOut(
        no=change.no,
        content=dict(change.content),
        reason=change.reason,
        changed_by=change.changed_by,
        changed_at=change.changed_at,
        confirmed_by=change.confirmed_by,
    )
