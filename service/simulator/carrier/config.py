"""What a simulated carrier can be told to do."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from service.simulator.carrier.protocols import PROTOCOLS
from service.words.phrase import phrase

DAY_SECONDS = 86_400.0

FaultShare = float

Port = int | None

Profile = Literal["carrier", "roster", "stale"]


class ListenerConfig(BaseModel):
    """Where an SP listens for the connections that an SGIP carrier opens."""

    host: str = Field(default="127.0.0.1", description="Address of the SP")
    port: int = Field(ge=1, le=65535, description="Port of the SP")
    login: str = Field(default="", max_length=16, description="Name that the carrier logs in with")
    password: SecretStr = Field(default=SecretStr(""), description="Password for it")


class Account(BaseModel):
    """Who may log in.

    The account is called Source_Addr, LoginName, ClientID, system_id or AccountSid; CMPP takes 6
    characters, SGIP 16, SMGP 8, SMPP 15.
    """

    account: str = Field(min_length=1, max_length=34, description="Name of the account")
    secret: SecretStr = Field(description="Shared secret, password or token")
    listener: ListenerConfig | None = Field(
        default=None, description="Where the SP listens; SGIP sends its receipts there"
    )
    callback_url: str = Field(
        default="", description="Where the generic HTTP vendor posts statuses and replies"
    )


class RobotConfig(BaseModel):
    """A robot of a work group, as its group shows it."""

    kind: Literal["wecom", "dingtalk"] = Field(description="Whose robot it is")
    key: str = Field(min_length=1, description="The key in its address")
    secret: SecretStr | None = Field(default=None, description="DingTalk: requests are signed")


class Faults(BaseModel):
    """What goes wrong, as shares of all submits unless said otherwise; may change at any time."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    answer_delay_seconds: float | None = Field(
        default=None, ge=0, le=600, description="Delay of each submit's answer; null: the settings'"
    )
    too_fast: FaultShare = Field(default=0.0, ge=0, le=1, description="Refused as too fast")
    tps_ceiling: int | None = Field(
        default=None, ge=1, description="Submits a second for each account; null: the settings'"
    )
    daily_limit: int | None = Field(
        default=None, ge=0, description="Recipients an account may have in a day, Beijing's"
    )
    barred_accounts: tuple[str, ...] = Field(
        default=(), description="Accounts that may log in but not submit"
    )
    login_status: int | None = Field(
        default=None, ge=1, description="Every login is refused with this status of its protocol"
    )
    close_after_login_seconds: float | None = Field(
        default=None,
        ge=0,
        le=600,
        description="Every login is accepted, and its connection closed so many seconds later",
    )
    wrong_digest: bool = Field(
        default=False, description="Logins are answered with a digest of another secret"
    )
    swallow_responses: FaultShare = Field(
        default=0.0, ge=0, le=1, description="Accepted and journaled, but never answered"
    )
    garbage_responses: FaultShare = Field(
        default=0.0, ge=0, le=1, description="Accepted, but answered with octets that are no frame"
    )
    disconnect_after: int | None = Field(
        default=None,
        ge=1,
        description="Each connection is cut at its n-th submit from now on, before the answer",
    )
    half_open: bool = Field(
        default=False, description="Connections stay, but nothing is read and nothing is written"
    )
    duplicate_receipts: FaultShare = Field(
        default=0.001, ge=0, le=1, description="Receipts sent twice"
    )
    early_receipts: FaultShare = Field(
        default=0.0005, ge=0, le=1, description="Receipts sent before the answer to their submit"
    )
    unknown_receipts: FaultShare = Field(
        default=0.0002, ge=0, le=1, description="Further receipts for ids that were never given"
    )


def _port(protocol: str, default: Port = None) -> Port:
    what = f"Port for {protocol}; null: not served; 0: any free one"
    port: Port = Field(default=default, ge=0, le=65535, description=what)
    return port


class SimulatorConfig(BaseModel):
    """One simulated carrier."""

    model_config = ConfigDict(extra="forbid")

    host: str = Field(default="127.0.0.1", description="Address to listen on")
    cmpp_port: Port = _port("CMPP", 0)
    sgip_port: Port = _port("SGIP")
    smgp_port: Port = _port("SMGP")
    smpp_port: Port = _port("SMPP")
    twilio_port: Port = _port("Twilio's REST API")
    http_port: Port = _port("the generic HTTP vendor")
    robots_port: Port = _port("robots of work groups")
    robots: tuple[RobotConfig, ...] = Field(
        default=(), description="Robots of work groups that are served"
    )
    admin_port: Port = _port("the admin API")
    admin_host: str = Field(default="127.0.0.1", description="Address for the admin API")
    tls_certificate: Path | None = Field(
        default=None,
        description="PEM file with certificate and key: SMPP, robots under TLS",
    )
    accounts: tuple[Account, ...] = Field(min_length=1, description="Who may log in")
    lane: str = Field(
        default="china_mobile", description="Name of the way; a phone's fate differs by it"
    )
    profile: Profile = Field(
        default="roster",
        description="How good the numbers are: a carrier's own, a kept list, an old one",
    )
    seed: int = Field(default=341825, description="The same seed gives the same fate to each phone")
    tps: int | None = Field(
        default=None, ge=1, description="Submits a second for each account; null: any"
    )
    max_connections: int = Field(default=5, ge=1, description="Connections of one account")
    max_delay_seconds: float = Field(
        default=3 * DAY_SECONDS, ge=0, description="No receipt takes longer than this"
    )
    response_delay_seconds: float = Field(
        default=0.0, ge=0, description="Delay of each submit's answer"
    )
    deliver_window: int = Field(
        default=128, ge=1, description="Unacknowledged receipts on a connection"
    )
    heartbeat_seconds: float = Field(
        default=30.0, gt=0, description="Silence before a heartbeat is sent"
    )
    response_timeout_seconds: float = Field(
        default=60.0, gt=0, description="Wait for an acknowledgement before a receipt is sent again"
    )
    report_octets: Literal[60, 71] = Field(
        default=71, description="Length of a report block in CMPP 3.0; 2.0 has 60"
    )
    decimal_receipt_ids: bool = Field(
        default=False,
        description="SMPP receipts give the id in decimal, where the answer gave it in hexadecimal",
    )
    receipts_by_the_book: bool = Field(
        default=False,
        description="SMPP receipts all as the specification has them, in none of the other forms",
    )
    gateway_code: int = Field(
        default=79101, ge=0, lt=1 << 22, description="Gateway part of the ids of CMPP and SMGP"
    )
    journal: Path | None = Field(
        default=None, description="File that makes a restart lose no receipt"
    )
    journal_texts: bool = Field(
        default=False, description="Write each part's text into the journal too"
    )
    faults: Faults = Field(default_factory=Faults, description="What goes wrong")

    @field_validator("accounts")
    @classmethod
    def _distinct(cls, accounts: tuple[Account, ...]) -> tuple[Account, ...]:
        names = [account.account for account in accounts]
        if len(set(names)) < len(names):
            raise ValueError(phrase("two accounts have the same name; give each its own"))
        return accounts

    def port_of(self, protocol: str) -> int | None:
        """The port of a protocol; None if it is not served."""
        port: int | None = getattr(self, f"{protocol}_port")
        return port

    @property
    def protocols(self) -> list[str]:
        """The protocols that are served."""
        return [protocol for protocol in PROTOCOLS if self.port_of(protocol) is not None]
