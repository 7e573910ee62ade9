"""What a simulated carrier can be told to do."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, SecretStr

DAY_SECONDS = 86_400.0

Share = float


class Account(BaseModel):
    """Who may log in."""

    account: str = Field(min_length=1, max_length=6, description="Source_Addr")
    secret: SecretStr = Field(description="Shared secret")


class Faults(BaseModel):
    """What goes wrong, as shares of all submits unless said otherwise."""

    swallow_responses: Share = Field(
        default=0.0, ge=0, le=1, description="Accepted and journaled, but never answered"
    )
    disconnect_after: int | None = Field(
        default=None,
        ge=1,
        description="Each connection is cut at its n-th submit, before the answer",
    )
    duplicate_receipts: Share = Field(default=0.001, ge=0, le=1, description="Receipts sent twice")
    early_receipts: Share = Field(
        default=0.0005, ge=0, le=1, description="Receipts sent before the answer to their submit"
    )
    unknown_receipts: Share = Field(
        default=0.0002, ge=0, le=1, description="Further receipts for ids that were never given"
    )


class SimulatorConfig(BaseModel):
    """One simulated carrier."""

    host: str = Field(default="127.0.0.1", description="Address to listen on")
    cmpp_port: int = Field(default=0, ge=0, le=65535, description="Port for CMPP; 0: any free one")
    accounts: tuple[Account, ...] = Field(min_length=1, description="Who may log in")
    lane: str = Field(
        default="china_mobile", description="Name of the way; a phone's fate differs by it"
    )
    profile: Literal["carrier", "roster", "stale"] = Field(
        default="roster",
        description="How good the numbers are: a carrier's own, a kept list, an old one",
    )
    seed: int = Field(default=341825, description="The same seed gives the same fate to each phone")
    tps: int | None = Field(
        default=None, ge=1, description="Submits a second for each account; None: any"
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
    report_octets: Literal[60, 71] = Field(default=71, description="Length of a CMPP report block")
    gateway_code: int = Field(
        default=79101, ge=0, lt=1 << 22, description="Gateway part of each Msg_Id"
    )
    journal: Path | None = Field(
        default=None, description="File that makes a restart lose no receipt"
    )
    faults: Faults = Field(default_factory=Faults, description="What goes wrong")
