"""Where Redis is, as TOCSIN_REDIS_URL says it: one server, or what Sentinel calls the primary.

`sentinel://:PASSWORD@HOST:PORT,HOST:PORT,HOST:PORT/NAME/NUMBER` names sentinels, and the primary by
the name that they have for it; user and password are those of the servers behind them. A password
of the sentinels themselves is `?sentinel_password=…`. Every other URL is one of a single server.
"""

from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import parse_qs, unquote, urlsplit

from service.words.phrase import phrase

SCHEME = "sentinel"
SENTINEL_PORT = 26379
FORM = "sentinel://:PASSWORD@HOST:PORT,HOST:PORT,HOST:PORT/NAME/NUMBER"
OPTION = "sentinel_password"


@dataclass(frozen=True, slots=True)
class SentinelAddress:
    """sentinels: hosts and ports. primary: its name there. user, password: of the servers."""

    sentinels: tuple[tuple[str, int], ...]
    primary: str
    database: int = 0
    user: str | None = None
    password: str | None = None
    sentinel_password: str | None = None

    @property
    def shown(self) -> str:
        """The sentinels as the URL has them."""
        return ",".join(
            f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.sentinels
        )


def read_redis_address(url: str) -> SentinelAddress | None:
    """The sentinels that a URL names; None: it names one server.

    Raises:
        ValueError: it names a cluster, or sentinels in another form; says what is needed, and no
            word of the URL, which holds passwords.
    """
    scheme = url.partition("://")[0].lower()
    if "cluster" in scheme:
        raise ValueError(
            phrase(
                "cluster mode is not supported; write redis:// for one server, or {form}", form=FORM
            )
        )
    if scheme.startswith(("redis+sentinel", "rediss+sentinel", "sentinels")):
        _refuse()
    return _read(url) if scheme == SCHEME else None


def _read(url: str) -> SentinelAddress:
    """By hand: the library takes no IPv6 address beside another host."""
    rest, _, fragment = url.partition("://")[2].partition("#")
    rest, _, query = rest.partition("?")
    authority, _, path = rest.partition("/")
    login, _, hosts = authority.rpartition("@")
    user, _, password = login.partition(":")
    primary, _, number = unquote(path).strip("/").partition("/")
    try:
        sentinels = tuple(_place(host) for host in hosts.split(","))
        options = parse_qs(query, strict_parsing=bool(query))
        database = int(number or 0)
    except ValueError:
        _refuse()
    if not primary or database < 0 or fragment or options.keys() - {OPTION}:
        _refuse()
    return SentinelAddress(
        sentinels,
        primary,
        database,
        unquote(user) or None,
        unquote(password) or None,
        options.get(OPTION, [None])[0],
    )


def _place(text: str) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    if not parts.hostname or parts.path or parts.port == 0:
        raise ValueError
    return parts.hostname, SENTINEL_PORT if parts.port is None else parts.port


def _refuse() -> NoReturn:
    raise ValueError(phrase("an address of sentinels is written {form}", form=FORM)) from None
