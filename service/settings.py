"""Every setting, typed, defaulted and described; read once from TOCSIN_* environment variables.

One module: it is one table.
"""

import os
import re
from collections.abc import Mapping
from datetime import datetime, time
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import TypeVar
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from service.clock import CHINA, Clock
from service.errors import Misconfigured
from service.logs import levels_named
from service.redis_address import read_redis_address
from service.words.phrase import listing, phrase, translated
from service.words.validation import fault

EARLIER_NAMES: Mapping[str, str] = {
    "channel_fault_share": "TOCSIN_LANE_FAULT_SHARE",
    "channel_slow_seconds": "TOCSIN_LANE_SLOW_SECONDS",
    "channel_silence_minutes": "TOCSIN_LANE_SILENCE_MINUTES",
    "channel_down_minutes": "TOCSIN_LANE_DOWN_MINUTES",
    "channel_rest_seconds": "TOCSIN_LANE_REST_SECONDS",
    "failover": "TOCSIN_LANE_SHIFT",
}
"""The variables that these settings had before; they are read for one release more."""


MAIL_SCHEMES = frozenset({"smtp", "smtps", "smtp+plain"})
_Some = TypeVar("_Some", bound=BaseSettings)
_ADDRESS = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+")


class ClockSettings(BaseSettings):
    """The simulated time of demos and tests; without it, the world's own."""

    model_config = SettingsConfigDict(
        env_prefix="TOCSIN_", env_ignore_empty=True, frozen=True, extra="ignore"
    )

    clock_start: datetime | None = Field(
        default=None,
        description=phrase("Simulated time: what the clock showed at clock_anchor. Demos only."),
    )
    clock_anchor: float = Field(
        default=0.0, description=phrase("Simulated time: real seconds since the epoch.")
    )
    clock_speed: float = Field(
        default=1.0, gt=0, description=phrase("Simulated time: times as fast as real.")
    )

    @property
    def clock(self) -> Clock:
        """The clock these settings describe."""
        return Clock(self.clock_start, self.clock_anchor, self.clock_speed)


class BackupSettings(ClockSettings):
    """What copies the database has; the master key is not among it."""

    timezone: str = Field(
        default=CHINA.key,
        description=phrase(
            "The county's time zone: instants are written with its offset from UTC."
        ),
    )
    alive_folder: Path | None = Field(
        default=None,
        description=phrase(
            "Folder of this process alone, in which it shows that it lives, for deploy/health.py."
        ),
    )
    backup_database_url: str | None = Field(
        default=None,
        description=phrase(
            "The same database as the role that copies it (REPLICATION), for `tocsin backup` "
            "and `tocsin migrate`, which makes that role."
        ),
    )
    backup_folder: Path | None = Field(
        default=None, description=phrase("Where backups are kept: a second disk, a share.")
    )
    backup_recipients: str = Field(
        default="",
        description=phrase(
            "The public keys (age1…) that backups are encrypted to; `tocsin backup key` makes "
            "one, on another machine."
        ),
    )
    backup_work_folder: Path | None = Field(
        default=None,
        description=phrase(
            "Where a base backup is made and checked before it is encrypted, and the log of "
            "the database comes in."
        ),
    )
    backup_at: str = Field(
        default="02:30", description=phrase("When a base backup is made, by the county's clock.")
    )
    backup_keep_days: int = Field(
        default=35,
        ge=8,
        le=1096,
        description=phrase("How long backups are kept; the last two full ones always are."),
    )

    @property
    def zone(self) -> ZoneInfo:
        """The county's time zone."""
        return ZoneInfo(self.timezone)

    @property
    def url(self) -> str:
        """The database as the role that copies it; raises `Misconfigured` if it is not set."""
        return self.backup_database_url or _needed("TOCSIN_BACKUP_DATABASE_URL")

    @property
    def target(self) -> Path:
        """The folder of the backups; raises `Misconfigured` if it is not set."""
        return self.backup_folder or Path(_needed("TOCSIN_BACKUP_FOLDER"))

    @property
    def work(self) -> Path:
        """The work folder; raises `Misconfigured` if it is not set."""
        return self.backup_work_folder or Path(_needed("TOCSIN_BACKUP_WORK_FOLDER"))

    @field_validator("timezone")
    @classmethod
    def _zone(cls, name: str) -> str:
        try:
            return ZoneInfo(name).key
        except (OSError, ValueError, KeyError) as error:  # a folder, no file; a path; unknown
            raise ValueError(phrase("write the name of a time zone, like Asia/Shanghai")) from error

    @field_validator("backup_at")
    @classmethod
    def _hour(cls, text: str) -> str:
        try:
            time.fromisoformat(text)
        except ValueError as error:
            raise ValueError(phrase("write a time of day, like 02:30")) from error
        return text


def _needed(variable: str) -> str:
    raise Misconfigured(phrase("{variable} is not set: see docs/backup.md", variable=variable))


class Settings(BackupSettings):
    """What a deployment can set. `deploy/env.example` is generated from the descriptions."""

    database_url: str = Field(
        description=phrase("PostgreSQL 18, the store of record (postgresql://…).")
    )
    database_owner_url: str | None = Field(
        default=None,
        description=phrase(
            "The same database as the role that owns its tables, for `tocsin migrate` "
            "alone: no other process is to have it."
        ),
    )
    read_url: str | None = Field(
        default=None,
        description=phrase(
            "A standby of the same database, as the same role: it answers previews, reports and"
            " their files, which then say how old they are; without it the primary does."
        ),
    )
    read_behind_seconds: float = Field(
        default=30.0,
        ge=2,
        le=3_600,
        description=phrase(
            "While that standby is away, or further behind than so many seconds, the primary"
            " answers."
        ),
    )
    redis_url: str = Field(
        description=phrase(
            "Redis or Valkey: the job queue and the token buckets (redis://:PASSWORD@HOST:PORT/0, "
            "or by Sentinel sentinel://:PASSWORD@HOST:PORT,HOST:PORT,HOST:PORT/NAME/0)."
        )
    )
    document_folder: Path | None = Field(
        default=None,
        description=phrase(
            "Folder with the county's own Word files, in whose styles documents are made"
            " (docs/documents.md); without it they have the shipped ones."
        ),
    )
    key_file: Path = Field(
        description=phrase(
            "The master key: 64 hexadecimal digits, mode 0600, outside the data folder."
        )
    )
    witness_file: Path | None = Field(
        default=None,
        description=phrase(
            "A file outside the data folder that remembers how far the database was, so "
            "that one restored with its data folder is noticed; Redis remembers it, too."
        ),
    )
    late_seconds: int = Field(
        default=60,
        ge=12,
        description=phrase(
            "A process whose own work stands still for so long, while both servers answer, ends"
            " with code 70."
        ),
    )
    api_host: str = Field(
        default="127.0.0.1",
        description=phrase("Address the API listens on, and other processes for their figures."),
    )
    api_port: int = Field(
        default=8080, ge=0, le=65535, description=phrase("Port the API listens on; 0: any free.")
    )
    watch_port: int = Field(
        default=0,
        ge=0,
        le=65535,
        description=phrase(
            "Port on which workers and channel processes show /metrics and /healthz, without a key:"
            " for the inner network alone; 0: none."
        ),
    )
    watch_certificates: str = Field(
        default="",
        description=phrase(
            "Files with TLS certificates (PEM) whose expiry /metrics shows, with commas between."
        ),
    )
    trusted_proxies: str = Field(
        default="",
        description=phrase(
            "Networks of our own proxies, e.g. 10.0.0.0/8: believed about who is asking."
        ),
    )
    key_requests: int = Field(
        default=6_000,
        ge=1,
        description=phrase("Requests a minute of one key or person, unless it has its own."),
    )
    lookups_an_hour: int = Field(
        default=60,
        ge=1,
        description=phrase(
            "Different numbers that one person may look up in an hour, over all keys."
        ),
    )
    department_requests: int = Field(
        default=30_000,
        ge=1,
        description=phrase("Requests a minute of a department, unless it has its own."),
    )
    pool_size: int = Field(
        default=8, ge=2, le=100, description=phrase("PostgreSQL connections per process.")
    )
    worker_niceness: int = Field(
        default=10,
        ge=0,
        le=19,
        description=phrase(
            "How far workers stand back for the API and the database where they share a "
            "machine: who waits for an answer goes first."
        ),
    )
    connections_per_process: int = Field(
        default=0,
        ge=0,
        description=phrase("Carrier connections one channel process holds at most; 0: no limit."),
    )
    import_max_bytes: int = Field(
        default=128 * 1024 * 1024,
        ge=1,
        description=phrase("Largest contact file that is taken, in octets."),
    )
    drift_share: float = Field(
        default=0.2,
        gt=0,
        description=phrase(
            "A campaign waits for a new approval if its rule means this share more or "
            "fewer people at the fire than when it was approved."
        ),
    )
    exchanged_share: float = Field(
        default=0.1,
        gt=0,
        description=phrase(
            "A fire waits for a person who may approve if a larger share of its people "
            "were not in the target that was approved."
        ),
    )
    safety_failed_share: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description=phrase("A run is paused when so large a share of its texts failed,"),
    )
    safety_filtered_share: float = Field(
        default=0.01, gt=0, le=1, description=phrase("… or was refused for the content,")
    )
    safety_opted_out_share: float = Field(
        default=0.02, gt=0, le=1, description=phrase("… or so many of its readers opted out,")
    )
    safety_silence_minutes: float = Field(
        default=60.0, gt=0, description=phrase("… or no receipt at all came for so long.")
    )
    safety_least: int = Field(
        default=500,
        ge=1,
        description=phrase("How many texts must be known of before a share means anything."),
    )
    stray_opt_outs_share: float = Field(
        default=0.01,
        ge=0,
        description=phrase(
            "Opt-outs over a channel of people who had no text over it wait for a person "
            "once so large a share of all people in the lists sent them in 24 hours,"
        ),
    )
    stray_opt_outs_an_hour: int = Field(
        default=50, ge=0, description=phrase("… and more than so many people in an hour.")
    )
    suppressions_a_day: int = Field(
        default=50,
        ge=0,
        description=phrase(
            "How many numbers a department's persons put on the lists of protected, dead "
            "or complaining numbers in 24 hours without a second person of the county,"
        ),
    )
    suppressions_share: float = Field(
        default=0.01,
        ge=0,
        description=phrase(
            "… and in 30 days, as a share of all people in the lists (never less than the "
            "number a day)."
        ),
    )
    replies_an_hour: int = Field(
        default=1_000,
        ge=1,
        description=phrase(
            "How many confirmations and other replies to people's texts one channel takes "
            "in an hour; those beyond wait, for 24 hours at most."
        ),
    )
    test_send_above: int = Field(
        default=50_000,
        ge=0,
        description=phrase(
            "Above so many people, an approver must have had the text on the own phone."
        ),
    )
    separate_audit: bool = Field(
        default=False,
        description=phrase(
            "Administrators do not read the audit trail: that is for users of the role"
            " auditor alone."
        ),
    )
    keep_numbers_days: int = Field(
        default=183,
        ge=180,
        le=1096,
        description=phrase("How long a sent text keeps its number (record duty)."),
    )
    keep_rejects_days: int = Field(
        default=90,
        ge=1,
        le=1096,
        description=phrase("How long the rejected rows of an import are kept."),
    )
    keep_expired_lists_days: int = Field(
        default=30,
        ge=0,
        le=1096,
        description=phrase("How long a list is kept after its last day, and an entry that left."),
    )
    keep_guests_days: int = Field(
        default=366,
        ge=1,
        le=1096,
        description=phrase("How long a guest of trial keys is kept, unless named anew."),
    )
    keep_logins_days: int = Field(
        default=183,
        ge=180,
        le=1096,
        description=phrase("How long a session is kept after its end (six months)."),
    )
    keep_records_days: int = Field(
        default=1096,
        ge=1096,
        description=phrase("How long audit entries and erasures are kept (three years)."),
    )
    retention_share: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description=phrase(
            "After the clock has jumped, a larger share of a table is deleted for its age "
            "only once a county's administrator has agreed."
        ),
    )
    channel_fault_share: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description=phrase("A channel is shut while this share of its submits goes wrong."),
    )
    channel_slow_seconds: float = Field(
        default=10.0,
        gt=0,
        description=phrase("… or half of its answers take longer, and another can take over."),
    )
    channel_silence_minutes: float = Field(
        default=10.0,
        gt=0,
        le=50,
        description=phrase("… or no receipt comes, and another can take over."),
    )
    channel_down_minutes: float = Field(
        default=3.0, gt=0, description=phrase("… or it gets no connection.")
    )
    channel_rest_seconds: float = Field(
        default=30.0,
        gt=0,
        description=phrase("How long it is shut before it is tried; doubled each time."),
    )
    failover: bool = Field(
        default=True,
        description=phrase(
            "Whether what waits for such a channel goes to another that may take it."
        ),
    )
    webhook_networks: str = Field(
        default="",
        description=phrase("Private networks that webhooks may be in, e.g. 10.1.0.0/16,fd00::/8."),
    )
    carrier_networks: str = Field(
        default="",
        description=phrase(
            "Networks that channels may connect to, e.g. china_mobile=192.0.2.0/24 "
            "simulated=127.0.0.0/8; of a carrier that is not named: all but a few."
        ),
    )
    console_url: str | None = Field(
        default=None,
        description=phrase(
            "Where people open the console, e.g. https://tocsin.example.gov.cn; notices "
            "to persons name it."
        ),
    )
    smtp_url: str | None = Field(
        default=None,
        description=phrase(
            "The mail server of notices to persons: smtp://USER:PASSWORD@HOST:587 "
            "(STARTTLS), smtps://…:465, or smtp+plain://HOST:25 for a relay of your own network; "
            "without it no mails."
        ),
    )
    mail_from: str = Field(
        default="",
        validate_default=True,
        description=phrase("The sender of these mails, e.g. tocsin@example.gov.cn."),
    )
    mail_domains: str = Field(
        default="",
        validate_default=True,
        description=phrase(
            "The domains of the addresses that they may go to, e.g. example.gov.cn."
        ),
    )
    sign_in_issuer: str | None = Field(
        default=None,
        description=phrase(
            "The OpenID Connect provider of single sign-on, as it names itself, e.g. "
            "https://id.example.gov.cn; without it none. Takes TOCSIN_CONSOLE_URL."
        ),
    )
    sign_in_client_id: str = Field(
        default="",
        validate_default=True,
        description=phrase("What the provider calls this system,"),
    )
    sign_in_client_secret: str = Field(
        default="", description=phrase("… and its secret; empty for a public client.")
    )
    log_level: str = Field(
        default="INFO",
        description=phrase(
            "DEBUG, INFO, WARNING or ERROR; behind it the levels of single loggers, as in"
            " INFO,service.dispatch=DEBUG."
        ),
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment, and after it the variables by their earlier names."""
        earlier = InitSettingsSource(settings_cls, init_kwargs=_set_by_earlier_names())
        return init_settings, env_settings, dotenv_settings, file_secret_settings, earlier

    @property
    def proxies(self) -> tuple[str, ...]:
        """The networks of our own proxies."""
        return tuple(_listed(self.trusted_proxies))

    @property
    def certificates(self) -> tuple[Path, ...]:
        """The files whose expiry is watched."""
        return tuple(
            Path(part.strip()) for part in self.watch_certificates.split(",") if part.strip()
        )

    @property
    def own_servers(self) -> tuple[str, ...]:
        """The URLs of PostgreSQL and Redis."""
        return tuple(url for url in (self.database_url, self.redis_url) if url)

    @property
    def allowed_networks(self) -> list[IPv4Network | IPv6Network]:
        """The private networks that webhooks may be in."""
        return [ip_network(network) for network in _listed(self.webhook_networks)]

    @property
    def domains_of_mail(self) -> list[str]:
        """The domains that mails may go to, in small letters."""
        return _listed(self.mail_domains.lower())

    @field_validator("read_url")
    @classmethod
    def _standby(cls, url: str | None) -> str | None:
        if url and urlsplit(url).scheme not in {"postgresql", "postgres"}:
            raise ValueError(phrase("write an address like postgresql://USER:PASSWORD@HOST/tocsin"))
        return url

    @field_validator("redis_url")
    @classmethod
    def _redis(cls, url: str) -> str:
        read_redis_address(url)
        return url

    @field_validator("console_url")
    @classmethod
    def _console(cls, url: str | None) -> str | None:
        parts = urlsplit(url or "https://none")
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query:
            raise ValueError(phrase("write an address like https://tocsin.example.gov.cn"))
        return url.rstrip("/") if url else None

    @field_validator("sign_in_issuer")
    @classmethod
    def _issuer(cls, url: str | None, info: ValidationInfo) -> str | None:
        parts = urlsplit(url or "https://none")
        if not is_private_way(parts) or parts.query or parts.fragment or parts.username:
            raise ValueError(phrase("write an address like https://id.example.gov.cn"))
        if url and not info.data.get("console_url"):
            raise ValueError(phrase("it takes TOCSIN_CONSOLE_URL, to which people come back"))
        return url

    @field_validator("sign_in_client_id")
    @classmethod
    def _with_issuer(cls, text: str, info: ValidationInfo) -> str:
        if info.data.get("sign_in_issuer") and not text.strip():
            raise ValueError(phrase("is needed where there is a provider of single sign-on"))
        return text

    @field_validator("smtp_url")
    @classmethod
    def _mail_server(cls, url: str | None) -> str | None:
        parts = urlsplit(url or "smtps://none")
        if parts.scheme not in MAIL_SCHEMES or not parts.hostname:
            raise ValueError(phrase("write smtp://HOST, smtps://HOST or smtp+plain://HOST"))
        if parts.scheme == "smtp+plain" and parts.username:
            raise ValueError(phrase("smtp+plain:// would send the password in the clear"))
        return url

    @field_validator("mail_from", "mail_domains")
    @classmethod
    def _with_mail_server(cls, text: str, info: ValidationInfo) -> str:
        if info.data.get("smtp_url") and not text.strip():
            raise ValueError(phrase("is needed where there is a mail server"))
        if info.field_name == "mail_from" and text and not _ADDRESS.fullmatch(text):
            raise ValueError(phrase("write an address like tocsin@example.gov.cn"))
        return text

    @field_validator("trusted_proxies", "webhook_networks")
    @classmethod
    def _networks(cls, text: str, info: ValidationInfo) -> str:
        for network in _listed(text):
            ip_network(network, strict=info.field_name == "webhook_networks")
        return text

    @field_validator("carrier_networks")
    @classmethod
    def _carrier_networks(cls, text: str) -> str:
        for part in _listed(text):
            _, equals, network = part.partition("=")
            if not equals:
                raise ValueError(
                    phrase(
                        "{part!r}: write GROUP=NETWORK, such as china_mobile=192.0.2.0/24",
                        part=part,
                    )
                )
            ip_network(network)
        return text

    @field_validator("log_level")
    @classmethod
    def _level(cls, text: str) -> str:
        return levels_named(text)


def is_private_way(url: SplitResult) -> bool:
    """Whether nobody reads what goes to this address: by TLS, or on this machine."""
    here = url.scheme == "http" and url.hostname in {"localhost", "127.0.0.1", "::1"}
    return bool(url.hostname) and (url.scheme == "https" or here)


def _listed(text: str) -> list[str]:
    return text.replace(",", " ").split()


def _set_by_earlier_names() -> dict[str, str]:
    """The settings whose variable is set only by its earlier name."""
    return {
        name: os.environ[earlier]
        for name, earlier in EARLIER_NAMES.items()
        if os.environ.get(earlier) and not os.environ.get(f"TOCSIN_{name.upper()}")
    }


def clock_of_environment() -> Clock:
    """The clock of the environment, for a process that needs nothing else of it."""
    return ClockSettings().clock


def read_settings() -> Settings:
    """The settings of the environment.

    Raises:
        Misconfigured: one is missing or malformed; the message names each and what it is for.
    """
    return _read(Settings)


def read_backup_settings() -> BackupSettings:
    """Those of backups alone, which need no key file and no Redis; raises as `read_settings`."""
    return _read(BackupSettings)


def _read(kind: type[_Some]) -> _Some:
    try:
        return kind()
    except ValidationError as error:
        earlier = _set_by_earlier_names()
        lines = [phrase("settings of the environment are missing or wrong:")]
        for item in error.errors():
            name = str(item["loc"][0])
            field = kind.model_fields.get(name)
            variable = EARLIER_NAMES[name] if name in earlier else f"TOCSIN_{name.upper()}"
            why = phrase("is needed") if item["type"] == "missing" else fault(item)
            line = listing((variable, why), ": ")
            about = phrase(" ({about})", about=field.description if field else "")
            lines.append(listing((line, about), "") if field else line)
        raise Misconfigured(listing(lines, "\n  ")) from error


def describe_environment(language: str = "en") -> str:
    """Every variable with its default and meaning, zh or en, in the form of an env file."""
    lines = []
    for name, field in Settings.model_fields.items():
        default = "" if field.is_required() or field.default is None else field.default
        mark = "" if field.is_required() else "# "
        about = translated(field.description, language)
        lines += [f"# {about}", f"{mark}TOCSIN_{name.upper()}={default}", ""]
    return "\n".join(lines).rstrip()
