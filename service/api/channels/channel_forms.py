"""Channels as JSON: what is given to set one up and to change it, and how one is shown."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Field

from service.api.http.schema import Body, Instant, Int, Line, Out, PlainOut
from service.audience.vocabulary.choices import Carrier
from service.channels.config.changes import need_begun
from service.channels.config.extension import room
from service.channels.config.store import parse_settings
from service.channels.contract.model import Channel, ChannelSettings, Hold, merged, shown
from service.channels.contract.registry import check_given, stored_faults
from service.messages.signature import SignMode

Carriers = Annotated[
    list[Carrier], Field(min_length=1, description="Whose subscribers it reaches.")
]
TPS = Annotated[Int, Field(ge=1)]
WindowSize = Annotated[
    Int, Field(ge=1, le=10_000, description="Unanswered submits allowed on one connection.")
]
Connections = Annotated[
    Int, Field(ge=1, le=100, description="Connections held at once; the account's logins.")
]
Destinations = Annotated[
    Int,
    Field(
        ge=1,
        le=100,
        description="Most recipients in one submit, where the text is the same; its kind's limit"
        " is `most_recipients` of GET /channels/kinds.",
    ),
]
OnNetOnly = Annotated[
    bool, Field(description="Take only numbers of its own carriers, none as a fallback.")
]
OperatedBy = Annotated[
    Carrier | None,
    Field(
        description="Whose gateway it leads to, one of `carriers`: this carrier's subscriber base"
        " goes over it, and no other's. Null: that of the one carrier in `carriers`, unless the"
        " kind is a provider's (http, twilio); of several carriers, nobody's."
    ),
]
Rank = Annotated[
    Int,
    Field(ge=0, le=10_000, description="Of the channels that can take a number the lowest is."),
]
Placed = Annotated[
    SignMode,
    Field(description="Who puts the 【signature】 into the text, and where; texts begin with it."),
]
SignatureCounts = Annotated[
    bool, Field(description="Whether a signature that the carrier adds takes room in the text.")
]
RequestedReceipts = Annotated[
    Literal["all", "last"],
    Field(description="Ask for a state report on each part, or on the last part alone."),
]
Validity = Annotated[
    bool, Field(description="Tell the carrier until when the text may be delivered.")
]
ChannelQuota = Annotated[Int, Field(ge=1)]
TimeOfDay = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$|^24:00$")]
Maintenance = Annotated[
    list[tuple[TimeOfDay, TimeOfDay]],
    Field(
        max_length=24,
        description="Spans of times of day in Beijing in which nothing is handed off, such as"
        ' [["23:00", "01:00"]]; one may cross midnight.',
    ),
]
Config = Annotated[
    dict[str, Any],
    Field(description="The kind's settings and credentials: see GET /channels/kinds."),
]
NO_LIMIT = "Parts per second; null: no limit but the window."
A_DAY = "Parts a day in Beijing, counted as they leave; null: as many as there are."
A_MONTH = "Parts a month in Beijing, counted as they leave; null: as many as there are."
NULLABLE = frozenset({"tps", "daily_quota", "monthly_quota", "operated_by"})


class ChannelBody(Body):
    """A channel to be set up; `config` is what its kind needs.

    A real one waits, switched off, until a second person has confirmed it.
    """

    name: Line
    kind: Line
    simulated: bool = Field(description="Whether it is a simulator; decided once, for good.")
    carriers: Carriers
    config: Config
    tps: TPS | None = Field(default=None, description=NO_LIMIT)
    window: WindowSize = 16
    connections: Connections = 1
    enabled: bool = True
    destinations: Destinations = 1
    on_net_only: OnNetOnly = True
    operated_by: OperatedBy = None
    rank: Rank = 100
    signature: Placed = "ours_head"
    signature_counts: SignatureCounts = True
    receipts: RequestedReceipts = "all"
    send_validity: Validity = True
    daily_quota: ChannelQuota | None = Field(default=None, description=A_DAY)
    monthly_quota: ChannelQuota | None = Field(default=None, description=A_MONTH)
    maintenance: Maintenance = Field(default=[])


class ChannelPatch(Body):
    """What is to change; the rest stays, and so do settings that `config` leaves out."""

    name: Line | None = None
    carriers: Carriers | None = None
    config: Config | None = None
    tps: TPS | None = Field(default=None, description=NO_LIMIT)
    window: WindowSize | None = None
    connections: Connections | None = None
    enabled: bool | None = None
    destinations: Destinations | None = None
    on_net_only: OnNetOnly | None = None
    operated_by: OperatedBy = None
    rank: Rank | None = None
    signature: Placed | None = None
    signature_counts: SignatureCounts | None = None
    receipts: RequestedReceipts | None = None
    send_validity: Validity | None = None
    daily_quota: ChannelQuota | None = Field(default=None, description=A_DAY)
    monthly_quota: ChannelQuota | None = Field(default=None, description=A_MONTH)
    maintenance: Maintenance | None = None
    held_until: None = Field(
        default=None, description="null lifts the hold that a carrier's answer put on the channel."
    )

    @property
    def changes_quota(self) -> bool:
        """Whether a hold for the sake of a quota may be over."""
        return bool({"daily_quota", "monthly_quota"} & self.model_fields_set)

    @property
    def lifts_hold(self) -> bool:
        """Whether the channel may hand off again."""
        return "held_until" in self.model_fields_set


class ChannelOut(Out):
    """A channel; `config` is null for those who do not manage channels."""

    id: int
    name: str
    kind: str
    simulated: bool
    carriers: list[str]
    config: dict[str, Any] | None
    tps: int | None
    window: int
    connections: int
    enabled: bool
    waits_since: Instant | None = Field(
        description="A new real channel waits for a second person, and carries nothing before."
    )
    destinations: int
    on_net_only: bool
    operated_by: str | None
    rank: int
    signature: str
    signature_counts: bool
    receipts: str
    send_validity: bool
    daily_quota: int | None
    monthly_quota: int | None
    maintenance: list[tuple[str, str]]
    requires_filing: bool = Field(
        description="Whether a text must be filed with its carrier: PUT /channels/{id}/filing."
    )
    held_until: Instant | None = Field(
        description="Until then nothing is handed off: the carrier said that the account may not,"
        " or a quota is used up."
    )
    held_why: str
    held_by: str | None = Field(description="Whose hold it is: carrier, or quota.")
    warnings: list[PlainOut] = Field(
        description="What is wrong with settings from before they were checked, and what to do."
    )
    extension_digits: int | None = Field(
        description="The most digits of a department's extension number behind the sender; null:"
        " the sender cannot be lengthened, and texts leave from it as it is."
    )


def settings_of(body: ChannelBody) -> ChannelSettings:
    """The channel that a body describes.

    Raises:
        Invalid: there is no such kind, or `config` is not what it needs.
    """
    values = {name: getattr(body, name) for name in type(body).model_fields}
    values["carriers"] = tuple(dict.fromkeys(body.carriers))
    values["maintenance"] = tuple(body.maintenance)
    values["config"] = parse_settings(body.kind, body.config)
    return ChannelSettings(**values)


def edited(channel: Channel, body: ChannelPatch) -> Channel:
    """The channel with what a body changes.

    Raises:
        Invalid: `config` is not what the kind needs, or not what a channel is enabled with.
        Conflict: it enables a new channel that waits for its second person.
    """
    if body.enabled:
        need_begun(channel)
    changes: dict[str, Any] = {
        name: getattr(body, name)
        for name in body.model_fields_set - {"held_until"}
        if name in NULLABLE or getattr(body, name) is not None
    }
    if body.maintenance is not None:
        changes["maintenance"] = tuple(body.maintenance)
    if body.carriers is not None:
        changes["carriers"] = tuple(dict.fromkeys(body.carriers))
    if body.config is not None:
        changes["config"] = parse_settings(channel.kind, merged(channel.config, body.config))
    changed = replace(channel, **changes)
    if changed.config != channel.config or (changed.enabled and not channel.enabled):
        check_given(changed)
    return changed


def channel_out(channel: Channel, hold: Hold | None, *, with_config: bool) -> ChannelOut:
    """A channel as it is shown; of its settings the secrets are `set` or `unset`."""
    own = {"config", "held_until", "held_why", "held_by", "extension_digits", "warnings"}
    names = ChannelOut.model_fields.keys() - own
    return ChannelOut(
        **{name: getattr(channel, name) for name in names},
        config=shown(channel.config) if with_config else None,
        held_until=hold.until if hold else None,
        held_why=hold.why if hold else "",
        held_by=hold.by if hold else None,
        extension_digits=room(channel),
        warnings=_warnings(channel),
    )


_WARNINGS: Mapping[str, PlainOut] = {
    "listen_addresses": PlainOut(
        zh="未写明运营商从哪些地址连入（listen_addresses），目前只接受来自网关 host 的连接，"
        "来自其他地址的状态报告和上行短信会被拒绝；请按运营商的接入单补写，由两名管理员确认",
        en="it is not said where the carrier connects from (listen_addresses), so only the "
        "gateway's own host may, and receipts and texts from elsewhere are refused; propose the "
        "addresses of the carrier's access sheet, which a second administrator confirms",
    ),
    "unverified_because": PlainOut(
        zh="已关闭 verify_gateway 但未写明原因，因此仍然核对网关的登录摘要；"
        "请打开它，或在 unverified_because 中写明原因",
        en="verify_gateway is off without a reason, so the gateway's digest is checked all the "
        "same; turn it on, or say why in unverified_because",
    ),
}


def _warnings(channel: Channel) -> list[PlainOut]:
    """What the settings of a channel lack that one is not set up without any more."""
    return [_WARNINGS[name] for name in stored_faults(channel)]
