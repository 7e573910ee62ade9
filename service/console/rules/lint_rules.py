"""What lint stops, in words, and the county's changes of it, which another person confirms."""

from collections.abc import Mapping
from typing import Any

from service.accounts.people.model import Right
from service.api.content import lint
from service.api.content.lint import ChangesQuery, LintPolicyBody, LintPolicyOut
from service.console.asking import Desk
from service.console.forms import body_of
from service.console.names import names_of
from service.console.render import Gone, Shown
from service.console.rules import lint_words
from service.console.rules.typed_lists import at_fields, typed_lines
from service.console.rules.versions import SetVersion, persons_of, with_differences
from service.console.second_person import second_person
from service.errors import Invalid
from service.messages.policy import LISTS
from service.words.phrase import phrase

LINT = "/office/rules/lint"
MOST_SHOWN = 20
NEVER = "never_words"


async def show_lint(desk: Desk) -> Shown:
    """All rules in words, the lists that they read, and the change that waits."""
    found = await desk.get(lint.get_rules)
    told: dict[str, object] = {"weakens": [], "second": None}
    if found.waiting is not None:
        told = {
            "weakens": list(lint_words.weakened(desk.language, found)),
            "second": await second_person(desk, found.waiting.proposed_by, allowed=_may(desk)),
        }
    before = desk.request.query.get("before", "")
    query = ChangesQuery(
        before=int(before) if before.isascii() and before.isdecimal() and len(before) < 9 else None,
        limit=MOST_SHOWN,
    )
    changes = (await desk.get(lint.list_rule_changes, query=query)).items
    versions = with_differences(
        SetVersion(
            at=one.changed_at,
            by=one.changed_by,
            second=one.confirmed_by,
            reason=one.reason,
            lines=dict(lint_words.lines(desk.language, one.content)),
        )
        for one in changes
    )
    hands = [*persons_of(versions), found.waiting.proposed_by if found.waiting else None]
    older = f"?before={changes[-1].no}" if len(changes) == MOST_SHOWN else ""
    return Shown("rules/lint.html", told | {
        "policy": found,
        "levels": lint_words.LEVELS,
        "never_words": lint_words.never_words(desk.language, found.never_words),
        "changes": _may(desk),
        "history": versions,
        "older": older,
        "names": await names_of(desk, hands),
    })  # fmt: skip


async def show_lint_form(desk: Desk) -> Shown:
    """The form for the levels and the lists."""
    found = await desk.get(lint.get_rules)
    return Shown("rules/lint_edit.html", {
        "policy": found,
        "level_options": lint_words.level_options(desk.language),
        "levels": lint_words.LEVELS,
        "lists": lint_words.LISTS,
        "never_words": lint_words.never_words(desk.language, found.never_words),
        "as_shipped": [(name, desk.language.say(word)) for name, word in lint_words.LISTS.items()],
    })  # fmt: skip


async def set_lint(desk: Desk) -> Gone:
    """Change what lint stops; what makes it less strict waits for another person."""
    async with desk.reading():
        found = await desk.get(lint.get_rules)
        latest = (await desk.get(lint.list_rule_changes, query=ChangesQuery(limit=1))).items
    own = latest[0].content if latest else {}
    given = _levels(desk, found) | _lists(desk, found, own)
    but = [name for name in desk.form if name not in {"reason", "small_count"}]
    kept = desk.typed("small_count") == str(found.small_count) and "small_count" not in own
    if kept or _as_shipped(desk, "small_count"):
        given["small_count"] = None
    try:
        body = body_of(LintPolicyBody, desk.form, but=but, given=given)
        made = await desk.act(lint.set_rules, body=body)
    except Invalid as error:
        raise at_fields(desk, error) from error
    if made.waiting is None:
        return Gone(LINT, phrase("It holds now."))
    waits = phrase(
        "What is stricter holds now. The rest holds once another administrator of the county"
        " confirms it."
    )
    return Gone(LINT, waits)


async def confirm_lint(desk: Desk) -> Gone:
    """Let a proposed change hold, as the second person."""
    await desk.act(lint.confirm_rules, proposal_id=desk.uuid("proposal_id"))
    return Gone(LINT, phrase("The change holds now."))


def _may(desk: Desk) -> bool:
    """Whether the reader may change what lint allows: it counts for the whole county."""
    return desk.may(Right.ACCOUNTS) and desk.user.runs_the_county


def _as_shipped(desk: Desk, name: str) -> bool:
    return name in desk.form.getall("as_shipped", [])


def _levels(desk: Desk, found: LintPolicyOut) -> dict[str, object]:
    """The levels that are not as shipped."""
    typed = {rule.rule: desk.typed(f"levels.{rule.rule}") or rule.level for rule in found.rules}
    shipped = {rule.rule: rule.shipped_level for rule in found.rules}
    return {"levels": {rule: level for rule, level in typed.items() if level != shipped[rule]}}


def _lists(desk: Desk, found: LintPolicyOut, own: Mapping[str, Any]) -> dict[str, object]:
    """The lists that the county sets itself: those that it had set, and those that are changed.

    A list that is as the program ships it is left out, so that it follows the program's next
    version.
    """
    given: dict[str, object] = {}
    for name in LISTS:
        typed = typed_lines(desk, name)
        if not _as_shipped(desk, name) and (name in own or set(typed) != set(getattr(found, name))):
            given[name] = typed
    typed_words = {
        carrier: typed_lines(desk, f"{NEVER}.{carrier}") for carrier in found.never_words
    }
    in_force = {carrier: list(words) for carrier, words in found.never_words.items()}
    if not _as_shipped(desk, NEVER) and (NEVER in own or typed_words != in_force):
        given[NEVER] = typed_words
    return given
