"""Users, their rights, and the roles that are presets of rights: one table (pure).

A user sees and acts on the things of the own department, and the counts of those below it; an
administrator of a county, on all. An inspector sees the reports of all and nothing else of any; an
auditor reads the audit trail and reports, those of a county of all departments. A right may also
be given to a user by itself, beyond the roles.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from service.accounts.departments.department import (
    CARRIER,
    CASE_KINDS,
    COUNTY,
    KINDS,
    RUNS_CHANNELS,
)
from service.errors import Forbidden, Invalid
from service.words.phrase import Phrase, listing, phrase
from service.words.terms import term


class Role(StrEnum):
    """What a user is for."""

    ADMIN = "admin"
    OPERATOR = "operator"
    APPROVER = "approver"
    VIEWER = "viewer"
    INSPECTOR = "inspector"
    AUDITOR = "auditor"
    LIAISON = "liaison"


_WORDS = {"SEND": "send:template", "SEND_TEXT": "send:text"}


class Right(StrEnum):
    """What an act needs; the value completes "you may not …"."""

    REPORTS = phrase("read plans and reports")
    READ = phrase("read audiences, texts and masked messages")
    IMPORT = phrase("import contacts")
    SUPPRESS = phrase("suppress numbers")
    WRITE = phrase("write segments and templates")
    PLAN = phrase("plan campaigns")
    SUBMIT = phrase("submit campaigns")
    SEND = phrase("send texts to people who are named")
    SEND_TEXT = phrase("send words of your own, without a template")
    WEBHOOKS = phrase("manage webhooks")
    CONTROL = phrase("pause, resume, release and cancel campaigns")
    APPROVE = phrase("approve, return and reject campaigns")
    STOP_ALL = phrase("stop all sending")
    CALENDAR = phrase("set the calendar and the send hours")
    ACCOUNTS = phrase("manage departments, users and keys")
    CHANNELS = phrase("manage channels")
    AREAS = phrase("keep the area tree")
    AUDIT = phrase("read the audit trail")
    UNMASK = phrase("see numbers in full")
    PRIVACY = phrase("look up and erase persons")
    CASES = phrase("enter case figures, goals and bulletins")
    VISIT = phrase("read the lists of visits and write down what came of them")
    REPORT = phrase("hand in what the department owes")
    OBLIGATIONS = phrase("set what departments owe, and decide on what they hand in")

    @property
    def words(self) -> Phrase:
        """What completes "you may not …", in both languages."""
        return Phrase(self.value, {})

    @property
    def word(self) -> str:
        """The right's name in requests, answers and the database."""
        return _WORDS.get(self.name, self.name.lower())


RIGHTS: dict[Role, frozenset[Right]] = {
    Role.ADMIN: frozenset(Right),
    Role.OPERATOR: frozenset(
        {
            Right.REPORTS,
            Right.READ,
            Right.IMPORT,
            Right.SUPPRESS,
            Right.WRITE,
            Right.PLAN,
            Right.SUBMIT,
            Right.SEND,
            Right.WEBHOOKS,
            Right.CONTROL,
            Right.STOP_ALL,
            Right.AREAS,
            Right.CASES,
            Right.VISIT,
            Right.REPORT,
            Right.OBLIGATIONS,
        }
    ),
    Role.APPROVER: frozenset(
        {Right.REPORTS, Right.READ, Right.APPROVE, Right.CONTROL, Right.STOP_ALL}
    ),
    Role.VIEWER: frozenset({Right.REPORTS, Right.READ}),
    Role.INSPECTOR: frozenset({Right.REPORTS}),
    Role.AUDITOR: frozenset({Right.REPORTS, Right.AUDIT}),
    Role.LIAISON: frozenset({Right.REPORTS, Right.READ, Right.REPORT, Right.VISIT}),
}
"""The rights of each role; nobody approves what is their own, whatever the role."""

KINDS_WITH: dict[Right, frozenset[str]] = {
    Right.CHANNELS: RUNS_CHANNELS,
    Right.AREAS: frozenset({COUNTY}),
    Right.STOP_ALL: frozenset({COUNTY, CARRIER, "police"}),
    Right.CALENDAR: frozenset({COUNTY}),
    Right.CASES: CASE_KINDS,
}
"""The kinds of department whose users have a right that touches everybody's sending."""


def gives_more(old_kind: str, new_kind: str) -> bool:
    """Whether the users of a department get rights when its kind changes so."""
    return any(new_kind in kinds and old_kind not in kinds for kinds in KINDS_WITH.values())


KEY_ONLY = frozenset({Right.SEND_TEXT})
"""Rights that take a key, on which two persons agreed; nobody has them by having logged in."""


def check_alone(roles: Collection[Role], rights: Collection[Right]) -> None:
    """Refuse an inspector or an auditor who is anything else, too.

    Raises:
        Invalid: they see what all others do, and must not act themselves.
    """
    if {Role.INSPECTOR, Role.AUDITOR} & set(roles) and (len(roles) > 1 or rights):
        raise Invalid.at(
            "roles",
            phrase(
                "an inspector or an auditor is nothing else; give another user the other roles or"
                " rights"
            ),
        )


_BY_WORD = {right.word: right for right in Right}


def rights_of(words: Iterable[str]) -> frozenset[Right]:
    """The rights that words mean; a word of none is passed over."""
    return frozenset(_BY_WORD[word] for word in words if word in _BY_WORD)


@dataclass(frozen=True, slots=True)
class NewUser:
    """A user to be made. rights: beyond those of the roles."""

    department_id: UUID
    login: str
    name: str
    roles: frozenset[Role]
    rights: frozenset[Right] = frozenset()


@dataclass(frozen=True, slots=True)
class User:
    """A person, as known by a key or a login.

    deputy_for: the approver they stand in for now. rights: beyond those of the roles.
    below: the departments under the own one. limited_to: the rights that the key or session
    leaves; None: all there are. logged_in: known by a session, not by a key. password_from: who
    gave a password that waits for its second person. audit_apart: administrators do not read the
    audit trail here, which is for auditors.
    """

    id: UUID
    department_id: UUID
    department_kind: str
    login: str
    name: str
    roles: frozenset[Role]
    disabled_at: datetime | None = None
    deputy_for: UUID | None = None
    rights: frozenset[Right] = frozenset()
    below: frozenset[UUID] = frozenset()
    limited_to: frozenset[Right] | None = None
    logged_in: bool = False
    password_from: UUID | None = None
    audit_apart: bool = False

    @property
    def all_rights(self) -> frozenset[Right]:
        """The rights of the roles and those given beyond them."""
        return self.rights.union(*(RIGHTS[role] for role in self.roles))

    def limited(self, rights: frozenset[Right]) -> "User":
        """The same person with no other rights than these."""
        return replace(self, limited_to=rights)

    def may(self, right: Right) -> bool:
        """Whether the user has the right, here and now."""
        if self.department_kind not in KINDS_WITH.get(right, KINDS):
            return False
        if self.limited_to is not None and right not in self.limited_to:
            return False
        if self.logged_in and right in KEY_ONLY:
            return False
        if right is Right.APPROVE and self.deputy_for is not None:
            return True
        if right is Right.AUDIT and self.audit_apart and Role.ADMIN in self.roles:
            return False
        return right in self.all_rights

    def need(self, right: Right) -> None:
        """Refuse a user without the right.

        Raises:
            Forbidden: names the right and the roles that have it.
        """
        if self.may(right):
            return
        if right is Right.AUDIT and self.audit_apart and right in self.all_rights:
            raise Forbidden(
                phrase("the audit trail is for auditors here, and administrators do not read it")
            )
        if self.limited_to is not None and right in self.all_rights:
            raise Forbidden(
                phrase(
                    "this key may not {right}: that takes the scope {word}",
                    right=right.words,
                    word=right.word,
                ),
                code="out_of_scope",
            )
        if self.logged_in and right in KEY_ONLY and right in self.all_rights:
            raise Forbidden(
                phrase(
                    "you may not {right} by having logged in: that takes a key, on which"
                    " two persons agreed",
                    right=right.words,
                ),
                code="key_needed",
            )
        having = listing((term(role) for role in Role if right in RIGHTS[role]), " or ")
        whose = ""
        if right in KINDS_WITH:
            kinds = listing(map(term, sorted(KINDS_WITH[right])), " or ")
            whose = phrase(" of a department of kind {kinds}", kinds=kinds)
        raise Forbidden(
            phrase(
                "you may not {right}: that takes the role {having}{whose}",
                right=right.words,
                having=having,
                whose=whose,
            )
        )

    def sees(self, department_id: UUID) -> bool:
        """Whether the things of a department exist for the user."""
        return self.scope is None or self.scope == department_id

    def sees_counts(self, department_id: UUID) -> bool:
        """Whether the user may see what a department's work amounts to, without people."""
        return self.sees(department_id) or department_id in self.below

    @property
    def scope(self) -> UUID | None:
        """The only department whose things the user sees; None: all of them."""
        return None if self.runs_the_county or self.sees_all else self.department_id

    @property
    def count_scope(self) -> list[UUID] | None:
        """The departments whose counts the user sees; None: all of them."""
        return None if self.scope is None else [self.department_id, *sorted(self.below)]

    @property
    def runs_the_county(self) -> bool:
        """Whether this is an administrator of a county."""
        return Role.ADMIN in self.roles and self.department_kind == COUNTY

    @property
    def sees_all(self) -> bool:
        """Whether this is an inspector, or an auditor of a county: they see the reports of all
        departments, an auditor the audit trail of all.
        """
        audits = Role.AUDITOR in self.roles and self.department_kind == COUNTY
        return audits or Role.INSPECTOR in self.roles

    def could_grant(self, roles: Iterable[Role], rights: Iterable[Right]) -> bool:
        """Whether `may_grant` lets the user hand these on."""
        try:
            self.may_grant(roles, rights)
        except Forbidden:
            return False
        return True

    def may_grant(self, roles: Iterable[Role], rights: Iterable[Right]) -> None:
        """Refuse to hand on what the user does not have.

        Raises:
            Forbidden: names the first right that is missing.
        """
        wanted = frozenset(rights).union(*(RIGHTS[role] for role in roles))
        if Role.INSPECTOR in roles and not self.runs_the_county:
            raise Forbidden(
                phrase(
                    "only an administrator of a county department may make inspectors: they"
                    " see the reports of all departments"
                )
            )
        held = self.all_rights
        if self.limited_to is not None:
            held &= self.limited_to
        for right in sorted(wanted - held):
            raise Forbidden(
                phrase(
                    "you may not {right}, so you cannot give that to others; ask somebody"
                    " who has the right",
                    right=right.words,
                ),
                code="right_not_yours",
            )


class By(NamedTuple):
    """Who does something, why and when; the clock has no user. code: why, as a program knows it."""

    user_id: UUID | None
    reason: str
    at: datetime
    code: str = ""
