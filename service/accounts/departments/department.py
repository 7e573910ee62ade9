"""Departments: a tree of tenants, each with what it may use (pure).

What it may use is checked when a campaign is planned, when it is submitted, and once more when
its run is expanded, for any of it may have been taken away since.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from service.errors import Conflict, Invalid
from service.ledger.message_class import CLASSES, WARNING
from service.words.phrase import listing, phrase
from service.words.terms import term

COUNTY = "county"
"""The lead: its administrators see and manage all departments."""

CARRIER = "carrier"
KINDS = (
    COUNTY,
    "police",
    "education",
    "finance",
    "civil_affairs",
    "market_regulation",
    "culture",
    "town",
    "school",
    "college",
    CARRIER,
    "department",
)
RUNS_CHANNELS = frozenset({COUNTY, CARRIER})
"""Channels serve everybody, so only administrators of such departments manage them."""

PARENTS = {"school": frozenset({"education"}), "college": frozenset({"school"})}
"""Whose parent must be of a certain kind: schools stand under the education bureau, colleges under
their school. Anything else may stand under anything."""

POLICE = "police"
"""Who dissuades victims: only they may send warnings (Anti-Telecom and Online Fraud Law, article
34)."""

JOINT_KINDS = frozenset({COUNTY, POLICE})
"""The kinds of department that may ask others to send a text of theirs, as a joint plan."""

CASE_KINDS = frozenset({COUNTY, POLICE})
"""The kinds of department that enter figures on cases, and see all of them."""

WARN_SHARE = 0.8
"""A quota that is used up to this share is worth a warning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DepartmentSettings:
    """What may be changed of a department.

    weight: its share of a channel beside those of others. area_code: whose people it may send to.
    carrier: whose network one of kind carrier runs. classes, channels: what it may send, and how;
    None: all channels. Quotas in parts, by the calendar in Beijing; None: no limit.
    notices_end_by_reply: an opt-out word in reply to a work notice ends its notices by itself.
    """

    name: str
    kind: str = "department"
    signature: str = ""
    weight: int = 10
    parent_id: UUID | None = None
    area_code: str | None = None
    carrier: str | None = None
    leader: str = ""
    classes: tuple[str, ...] = CLASSES
    channels: tuple[int, ...] | None = None
    daily_quota: int | None = None
    monthly_quota: int | None = None
    yearly_quota: int | None = None
    requests_per_minute: int | None = None
    notices_end_by_reply: bool = False


@dataclass(frozen=True, slots=True)
class Department:
    """A tenant: whose contacts, texts and campaigns they are.

    held_until, held_why: until when its quota is used up.
    direct_send_limit: the people whom one of its keys may send to in 24 hours without a campaign.
    """

    id: UUID
    settings: DepartmentSettings
    created_at: datetime
    held_until: datetime | None = None
    held_why: str = ""
    direct_send_limit: int = 0

    @property
    def name(self) -> str:
        """What it is called."""
        return self.settings.name

    @property
    def kind(self) -> str:
        """One of KINDS."""
        return self.settings.kind

    @property
    def signed(self) -> str:
        """The signature that its own texts begin with, without brackets; "": none yet."""
        return bare(self.settings.signature)


def default_classes(kind: str) -> tuple[str, ...]:
    """What a new department may send unless it is said: warnings are for few."""
    return CLASSES if kind == POLICE else tuple(name for name in CLASSES if name != WARNING)


def check_place(settings: DepartmentSettings, parent: Department | None) -> None:
    """Whether kind, carrier and parent go together.

    Raises:
        Invalid: names what does not, and the remedy.
    """
    if (settings.kind == CARRIER) != (settings.carrier is not None):
        problem = (
            phrase("say whose network it runs, e.g. china_mobile")
            if settings.kind == CARRIER
            else phrase("only a department of kind carrier names one")
        )
        raise Invalid(
            phrase("the carrier is wrong: {problem}", problem=problem), fields={"carrier": problem}
        )
    wanted = PARENTS.get(settings.kind)
    if wanted and parent is not None and parent.kind not in wanted:
        problem = phrase(
            "a {kind} stands under one of kind {wanted}",
            kind=term(settings.kind),
            wanted=listing(map(term, sorted(wanted)), " or "),
        )
        raise Invalid(
            phrase("the parent is wrong: {problem}", problem=problem), fields={"parent_id": problem}
        )


@dataclass(frozen=True, slots=True)
class DepartmentPermits:
    """What a department may use; channels None: all of them."""

    classes: Collection[str]
    channels: Collection[int] | None

    def channels_of(self, wanted: Sequence[int] | None) -> list[int] | None:
        """Those of the wanted channels that it may use; None: all."""
        if self.channels is None:
            return None if wanted is None else list(wanted)
        return [c for c in self.channels if wanted is None or c in wanted]

    def problems(self, message_class: str, channels: Sequence[int] | None) -> dict[str, str]:
        """What of a plan the department may not use, by field."""
        found: dict[str, str] = {}
        if message_class not in self.classes:
            allowed = listing(map(term, self.classes), " or ") or phrase("nothing")
            found["template_id"] = phrase(
                "the department may not send texts of class {message_class}, only {allowed}",
                message_class=term(message_class),
                allowed=allowed,
            )
        if self.channels is not None and channels is not None:
            refused = sorted(set(channels) - set(self.channels))
            if refused:
                found["channels"] = phrase(
                    "the department may not use channel {channels}", channels=listing(refused)
                )
        elif self.channels is not None and not self.channels:
            found["channels"] = phrase("the department may use no channel at all")
        return found


class SignatureLent(Conflict):
    """The text begins with another department's signature."""

    code = "signature_of_another"

    def __init__(self, signature: str) -> None:
        super().__init__(
            phrase(
                "the signature {signature} is registered to another department, and lending one is"
                " an offence (Anti-Telecom and Online Fraud Law, article 31); use your own",
                signature=signature,
            )
        )


def bare(signature: str) -> str:
    """A signature without its brackets, as it is registered."""
    return signature.strip().removeprefix("【").removesuffix("】").strip()
