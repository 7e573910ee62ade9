"""A key: for whom it acts, as what, within which limits (pure).

live: sends as its user may. trial: whatever it plans reaches only the guests of its department.
test: whatever it plans is expanded to its whole ledger and then stopped: nothing ever leaves.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from ipaddress import ip_address, ip_network
from typing import Literal
from uuid import UUID

from service.accounts.people.model import Right, Role, User, rights_of
from service.errors import Forbidden, Invalid
from service.words.phrase import listing, phrase


class Mode(StrEnum):
    """What becomes of what a key sends."""

    LIVE = "live"
    TRIAL = "trial"
    TEST = "test"


SCOPES = frozenset(right.word for right in Right)
"""The rights by name; send:template and send:text are those of a direct send."""

NARROW_SCOPES = frozenset(
    right.word for right in (Right.IMPORT, Right.REPORTS, Right.SEND, Right.SEND_TEXT)
)
"""What a key with limits of area or roster may do: no rule that could mean others."""

_PLANNING = frozenset(
    {
        Right.REPORTS,
        Right.READ,
        Right.WRITE,
        Right.PLAN,
        Right.SUBMIT,
        Right.APPROVE,
        Right.SEND,
        Right.SEND_TEXT,
    }
)
_ALL = frozenset(Right)
LEAVES = {Mode.LIVE: _ALL, Mode.TRIAL: _PLANNING, Mode.TEST: _PLANNING}
"""What a key leaves of the rights of its user by its mode: one that is not live does nothing that
others would feel. What of it changes anything is said operation by operation (`Op.test_keys`)."""

USED_EVERY = timedelta(minutes=1)
"""How often it is written down that a key is used."""

MOST_OVERLAP = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key to be made: for whom, called what, by whom, until when, within which limits.

    scopes: what it may do of what its user may; None: all of it.
    area_codes, rosters: whom it may import or send to; None: everybody of the department.
    networks: from where it may be used; None: from anywhere. bootstrap: made by whoever runs the
    machine, and works at once.
    """

    user_id: UUID
    name: str
    created_by: UUID | None = None
    expires_at: datetime | None = None
    mode: Mode = Mode.LIVE
    scopes: tuple[str, ...] | None = None
    area_codes: tuple[str, ...] | None = None
    rosters: tuple[str, ...] | None = None
    networks: tuple[str, ...] | None = None
    requests_per_minute: int | None = None
    bootstrap: bool = False

    def check(self, now: datetime) -> None:
        """Whether the limits make sense together.

        Raises:
            Invalid: names what does not, and the remedy.
        """
        fields: dict[str, str] = {}
        if self.expires_at is not None and self.expires_at <= now:
            fields["expires_at"] = phrase("the key would have expired; give a later instant")
        unknown = sorted(set(self.scopes or ()) - SCOPES)
        if unknown:
            fields["scopes"] = phrase(
                "there is no scope like that; known are {scopes}", scopes=listing(sorted(SCOPES))
            )
        narrow = self.area_codes is not None or self.rosters is not None
        if narrow and not (self.scopes and set(self.scopes) <= NARROW_SCOPES):
            fields["scopes"] = phrase(
                "a key with limits of area or roster may only have the scopes {scopes}",
                scopes=listing(sorted(NARROW_SCOPES)),
            )
        elif self.area_codes is not None and Right.IMPORT.word in (self.scopes or ()):
            fields["area_codes"] = phrase("imports can be limited to rosters, not to areas")
        if any(not _is_network(network) for network in self.networks or ()):
            fields["networks"] = phrase("write addresses or networks, e.g. 10.1.0.0/16")
        if fields:
            raise Invalid(
                phrase("the key is wrong: {fields}", fields=listing(fields)), fields=fields
            )


@dataclass(frozen=True, slots=True)
class HeldRights:
    """What a user had when a key of theirs was activated: the key has at most that.

    rights: those of the roles, too.
    """

    roles: frozenset[Role]
    rights: frozenset[Right]

    @classmethod
    def of(cls, user: User) -> "HeldRights":
        """What a user has now."""
        return cls(user.roles, user.all_rights)


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a user; the token itself is shown once and never stored.

    department_id: the user's. replaces: the first key of the grant that it renews.
    overlap: of one that waits for its second person: how long the old ones work beside it then.
    held: what its user had when it was activated; None: it was not.
    """

    id: UUID
    department_id: UUID
    grant: NewKey
    created_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None
    replaces: UUID | None
    activated_by: UUID | None
    activated_at: datetime | None
    overlap: timedelta | None = None
    held: HeldRights | None = None

    @property
    def first_id(self) -> UUID:
        """The first key of its grant: what is counted by key goes on over a rotation."""
        return self.replaces or self.id

    def state(self, now: datetime) -> Literal["pending", "active", "expired", "revoked"]:
        """Where it stands: it works while it is active."""
        if self.revoked_at is not None:
            return "revoked"
        if self.grant.expires_at is not None and self.grant.expires_at <= now:
            return "expired"
        return "active" if self.activated_at is not None else "pending"

    def works(self, now: datetime) -> bool:
        """Whether anybody may use it now."""
        return self.state(now) == "active"

    @property
    def is_narrow(self) -> bool:
        """Whether it is for some areas or rosters only."""
        return self.grant.area_codes is not None or self.grant.rosters is not None

    @property
    def left_rights(self) -> frozenset[Right]:
        """The rights that its scopes, its mode and its activation leave."""
        return self._granted if self.held is None else self._granted & self.held.rights

    @property
    def _granted(self) -> frozenset[Right]:
        left = _ALL if self.grant.scopes is None else rights_of(self.grant.scopes)
        if Right.READ in left:
            left |= {Right.REPORTS}
        if Right.SEND_TEXT in left:
            left |= {Right.SEND}
        return left & LEAVES[self.grant.mode]

    @property
    def is_whole(self) -> bool:
        """Whether it gives all that a login of its user would."""
        grant = self.grant
        limits = (grant.expires_at, grant.scopes, grant.area_codes, grant.rosters, grant.networks)
        return grant.mode is Mode.LIVE and not any(limit is not None for limit in limits)

    def covers(self, other: "Key") -> bool:
        """Whether nobody gains anything who has this one and gets the other in its place."""
        mine, theirs = self.grant, other.grant
        return (
            mine.user_id == theirs.user_id
            and (mine.area_codes, mine.rosters)
            in {(None, None), (theirs.area_codes, theirs.rosters)}
            and other.left_rights <= self.left_rights
            and (other.held is None or self.held is None or other.held.roles <= self.held.roles)
            and mine.networks in {None, theirs.networks}
            and (
                mine.expires_at is None
                or (theirs.expires_at is not None and theirs.expires_at <= mine.expires_at)
            )
        )

    def allows_roster(self, name: str) -> bool:
        """Whether it may fill the roster of this name."""
        return self.grant.rosters is None or name in self.grant.rosters

    def need_roster(self, name: str) -> None:
        """Refuse a roster outside the key's limits.

        Raises:
            Forbidden: the key is for others.
        """
        if not self.allows_roster(name):
            raise Forbidden(
                phrase(
                    "this key may not fill that roster; the rosters of a key are part of its grant"
                ),
                code="out_of_scope",
            )

    def limited(self, user: User) -> User:
        """Its user, with the rights that the key leaves, and with no role that came later."""
        if self.held is not None and HeldRights.of(user) != self.held:
            roles, rights = user.roles & self.held.roles, user.all_rights & self.held.rights
            return replace(user, roles=roles, rights=rights).limited(self.left_rights)
        return user if self._granted == _ALL else user.limited(self.left_rights)

    def need_address(self, address: str) -> None:
        """Refuse whoever asks from elsewhere.

        Raises:
            Forbidden: the key has networks, and the address is in none of them.
        """
        if self.grant.networks is None:
            return
        if not is_within(address, self.grant.networks):
            raise Forbidden(
                phrase(
                    "this key may not be used from your address; its networks are part of its grant"
                ),
                code="address_not_allowed",
            )


def is_within(address: str, networks: Iterable[str]) -> bool:
    """Whether an address is in one of the networks; one that cannot be read is in none."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None) or found
    return any(mapped in ip_network(network, strict=False) for network in networks)


def _is_network(text: str) -> bool:
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return True
