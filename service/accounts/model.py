"""Users, their roles, and the rights that each role has: one table (pure).

A user sees and acts on the things of the own department; an administrator of a county, on all.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from service.errors import Forbidden


class Role(StrEnum):
    """What a user is for."""

    ADMIN = "admin"
    OPERATOR = "operator"
    APPROVER = "approver"
    VIEWER = "viewer"


class Right(StrEnum):
    """What an act needs; the value completes "you may not …"."""

    READ = "read"
    IMPORT = "import contacts"
    SUPPRESS = "suppress numbers"
    WRITE = "write segments and templates"
    PLAN = "plan and submit campaigns"
    SEND = "send texts to people who are named"
    SEND_TEXT = "send words of your own, without a template"
    WEBHOOKS = "manage webhooks"
    CONTROL = "pause, resume, release and cancel campaigns"
    APPROVE = "approve, return and reject campaigns"
    STOP_ALL = "stop all sending"
    ACCOUNTS = "manage departments, users and keys"
    CHANNELS = "manage channels"
    AUDIT = "read the audit trail"
    UNMASK = "see numbers in full"
    PRIVACY = "look up and erase persons"


RIGHTS: dict[Role, frozenset[Right]] = {
    Role.ADMIN: frozenset(Right),
    Role.OPERATOR: frozenset(
        {
            Right.READ,
            Right.IMPORT,
            Right.SUPPRESS,
            Right.WRITE,
            Right.PLAN,
            Right.SEND,
            Right.WEBHOOKS,
            Right.CONTROL,
            Right.STOP_ALL,
        }
    ),
    Role.APPROVER: frozenset({Right.READ, Right.APPROVE, Right.CONTROL, Right.STOP_ALL}),
    Role.VIEWER: frozenset({Right.READ}),
}
"""The rights of each role; nobody approves what is their own, whatever the role."""

COUNTY = "county"
KINDS = (COUNTY, "carrier", "police", "department", "school")
RUNS_CHANNELS = frozenset({COUNTY, "carrier"})
"""Channels serve everybody, so only administrators of such departments manage them."""
KINDS_WITH: dict[Right, frozenset[str]] = {
    Right.CHANNELS: RUNS_CHANNELS,
    Right.STOP_ALL: frozenset({COUNTY, "carrier", "police"}),
}
"""The kinds of department whose users have a right that touches everybody's sending."""


@dataclass(frozen=True, slots=True)
class NewDepartment:
    """A department to be made. weight: its share of a channel beside those of others."""

    name: str
    kind: str = "department"
    signature: str = ""
    weight: int = 10


@dataclass(frozen=True, slots=True)
class Department:
    """A tenant: whose contacts, texts and campaigns they are.

    direct_send_limit: the people whom one of its keys may send to in 24 hours without a campaign.
    """

    id: UUID
    name: str
    kind: str
    signature: str
    weight: int
    direct_send_limit: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class NewUser:
    """A user to be made."""

    department_id: UUID
    login: str
    name: str
    roles: frozenset[Role]


@dataclass(frozen=True, slots=True)
class User:
    """A person, as known by a key or a login; deputy_for: the approver they stand in for now."""

    id: UUID
    department_id: UUID
    department_kind: str
    login: str
    name: str
    roles: frozenset[Role]
    disabled_at: datetime | None = None
    deputy_for: UUID | None = None

    def may(self, right: Right) -> bool:
        """Whether one of the user's roles has the right."""
        if self.department_kind not in KINDS_WITH.get(right, KINDS):
            return False
        if right is Right.APPROVE and self.deputy_for is not None:
            return True
        return any(right in RIGHTS[role] for role in self.roles)

    def need(self, right: Right) -> None:
        """Refuse a user without the right.

        Raises:
            Forbidden: names the right and the roles that have it.
        """
        if not self.may(right):
            having = " or ".join(role.value for role in Role if right in RIGHTS[role])
            whose = ""
            if right in KINDS_WITH:
                whose = f" of a department of kind {' or '.join(sorted(KINDS_WITH[right]))}"
            raise Forbidden(f"you may not {right.value}: that takes the role {having}{whose}")

    def sees(self, department_id: UUID) -> bool:
        """Whether the things of a department exist for the user."""
        return self.scope is None or self.scope == department_id

    @property
    def scope(self) -> UUID | None:
        """The only department whose things the user sees; None: all of them."""
        return None if self.runs_the_county else self.department_id

    @property
    def runs_the_county(self) -> bool:
        """Whether this is an administrator of a county."""
        return Role.ADMIN in self.roles and self.department_kind == COUNTY


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key to be made: for whom, called what, by whom, until when."""

    user_id: UUID
    name: str
    created_by: UUID | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a user; the token itself is shown once and never stored."""

    id: UUID
    user_id: UUID
    name: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
