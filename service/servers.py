"""What a process meets at its start: PostgreSQL, Redis, and a port to listen on.

Each fault is one sentence in English and in Chinese: which server, what was found, what is needed,
and what to do. No sentence holds a password, or the words of a server, which could hold one.
"""

import asyncio
import errno
import logging
import os
import re
import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from redis.exceptions import AuthenticationError, RedisError, ResponseError

from service.errors import Misconfigured
from service.queue import open_redis
from service.redis_address import read_redis_address
from service.sentinel import UnknownPrimary
from service.storage.postgres import (
    UNREACHABLE,
    NoRight,
    NoTable,
    PostgresRefusal,
    SettingsRefused,
    ignored_settings,
    read_version,
)
from service.storage.roles import NO_RIGHTS
from service.words.phrase import Phrase, listing, sentence_of, translated

log = logging.getLogger(__name__)

POSTGRESQL_MAJOR = 18
"""uuidv7(), which makes the keys of most tables, and `RETURNING old.…, new.…` exist from PostgreSQL
18 on. With a uuidv7() of our own the migrations ran on 15 and 17, and statements would not."""
REDIS_VERSION = (5, 0)
"""Scripts that read the server's time and then write are allowed by default from Redis 5 on. Valkey
says which Redis it is like."""
ENCODING = "UTF8"
"""Names and texts are Chinese, so that no other encoding of a database holds them all."""
NO_TABLES = (
    "the database lacks tables of this program: run `tocsin migrate` first / "
    "数据库中缺少本程序的表：请先运行 tocsin migrate"
)
AGAIN_SECONDS = 1.0
"""How often a server that is away at the start is looked for."""

BilingualText = tuple[str, str]
"""The same in English and in Chinese."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a server is of no use. passing: it may be over in a moment without anybody's doing."""

    server: str
    words: BilingualText
    passing: bool = False

    @property
    def sentence(self) -> str:
        """English and Chinese on one line, as the command line speaks."""
        return " / ".join(self.words)


@dataclass(frozen=True, slots=True)
class _Server:
    """A server as its URL names it; setting: where the URL stands."""

    name: str
    setting: str
    address: str
    user: str
    database: str

    def fault(self, english: str, chinese: str, *, passing: bool = False) -> Fault:
        at = f"{self.name} ({self.address})"
        return Fault(self.name, (f"{at} {english}", f"{at}{chinese}"), passing)

    def away(self, error: BaseException) -> Fault:
        """It cannot be reached; why, as far as the network tells."""
        if isinstance(error, TimeoutError):
            why = ("does not answer", "没有应答")
        elif isinstance(error, ConnectionRefusedError | FileNotFoundError):
            why = ("is not there: nothing listens", "不存在：该地址无服务监听")
        elif isinstance(error, socket.gaierror):
            why = ("is not found: its name has no address", "找不到：主机名无法解析")
        elif isinstance(error, ssl.SSLError):
            return self.tls()
        else:
            why = ("cannot be reached", "无法连接")
        return self.fault(
            f"{why[0]}; start it, or mend {self.setting}",
            f"{why[1]}；请启动它，或改正 {self.setting}",
            passing=True,
        )

    def password(self) -> Fault:
        return self.fault(
            f"refuses user {self.user}: the password is wrong or missing; mend {self.setting}",
            f"拒绝用户 {self.user}：密码错误或缺失；请改正 {self.setting}",
        )

    def tls(self) -> Fault:
        return self.fault(
            f"and {self.setting} do not agree on TLS: one demands it and the other does not have "
            "it; mend sslmode, or the server",
            f"与 {self.setting} 的 TLS 要求不一致；请改正 sslmode 或服务端设置",
        )

    def encoding(self, found: str) -> Fault:
        return self.fault(
            f"has database {self.database} in encoding {found}, and {ENCODING} is needed; make one "
            f"(createdb -E {ENCODING} -T template0 NAME) and name it in {self.setting}",
            f"的数据库 {self.database} 编码为 {found}，需要 {ENCODING}；请新建数据库"
            f"（createdb -E {ENCODING} -T template0 库名），并写入 {self.setting}",
        )

    def pooler(self, ignored: Sequence[str]) -> Fault:
        """ignored: what a session asks for and does not get; empty: it is not let in."""
        what = ", ".join(ignored)
        told = f"drops {what}" if ignored else "refuses settings"
        told_zh = f"丢弃了 {what}" if ignored else "拒绝了一些设置"
        return self.fault(
            f"is behind a pooler that {told}, which sessions ask for at their start; set it up "
            "as deploy/ha/pgbouncer.ini does (ignore_startup_parameters and connect_query)",
            f"前面的连接池{told_zh}，而会话开始时需要这些设置；请照 deploy/ha/pgbouncer.ini "
            "设置（ignore_startup_parameters 与 connect_query）",
        )

    def version(self, found: str, needed: str) -> Fault:
        return self.fault(
            f"is version {found}, and {needed} or newer is needed; see docs/operating.md",
            f"的版本是 {found}，需要 {needed} 或更新；见 docs/operating.md",
        )


async def find_faults(database_url: str | None, redis_url: str | None) -> list[Fault]:
    """All that is wrong with either server, looked for at both at once; nothing: both will do. One
    without a URL is not looked at.
    """
    looks = []
    if database_url:
        looks.append(_postgresql_fault(database_url))
    if redis_url:
        looks.append(_redis_fault(redis_url))
    return [fault for fault in await asyncio.gather(*looks) if fault is not None]


def say_faults(error: Exception) -> list[str]:
    """What is wrong with the servers of the environment, or with the database, for a command that
    failed with this error; nothing: the fault is another.
    """
    urls = os.environ.get("TOCSIN_DATABASE_URL"), os.environ.get("TOCSIN_REDIS_URL")
    sentences = [fault.sentence for fault in asyncio.run(find_faults(*urls))]
    if sentences:
        return sentences
    said = {NoTable: NO_TABLES, NoRight: NO_RIGHTS}
    return [sentence for kind, sentence in said.items() if isinstance(error, kind)]


def outdated_redis(info: Mapping[str, Any]) -> tuple[str, str] | None:
    """The version that a Redis says it is and the one that is needed, if it is too old."""
    found, needed = str(info.get("redis_version", "")), ".".join(map(str, REDIS_VERSION))
    return (found, needed) if is_older(found, REDIS_VERSION) else None


def refuse(sentences: Sequence[str]) -> None:
    """Say everything at once.

    Raises:
        Misconfigured: there is something to say.
    """
    if sentences:
        raise Misconfigured(listing(sentences, "\n  "))


async def wait_for_servers(database_url: str, redis_url: str) -> None:
    """Until PostgreSQL can be used. A server that is away is waited for, with a line in the log
    when that begins; Redis is not, since a process can begin without it.

    Raises:
        Misconfigured: a server is wrong; says all that is.
    """
    told: set[str] = set()
    while True:
        faults = await find_faults(database_url, redis_url)
        if not all(fault.passing for fault in faults):
            refuse([fault.sentence for fault in faults])
        for fault in faults:
            if fault.sentence not in told:
                log.warning(fault.sentence)
        told |= {fault.sentence for fault in faults}
        if not any(fault.server == "PostgreSQL" for fault in faults):
            return
        await asyncio.sleep(AGAIN_SECONDS)


def taken(port: int, host: str = "127.0.0.1") -> str:
    """Why nothing can listen on a port, in English and Chinese; empty: something can."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen()
        except OSError as error:
            return port_fault(host, port, error)
    return ""


def port_fault(host: str, port: int, error: OSError) -> str:
    """What an error says of an address and a port that one wanted to listen on."""
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} is taken: another program listens on it; stop that one, or choose "
            f"another port / 端口 {port} 已被占用：请停止占用它的程序，或换一个端口"
        )
    unknown = isinstance(error, socket.gaierror)  # whose number is none of the system's
    why = error.strerror if unknown else os.strerror(error.errno or 0)
    return (
        f"port {port} of address {host} cannot be listened on: {why}; choose another address or "
        "port (`tocsin serve` has them from TOCSIN_API_HOST and TOCSIN_API_PORT) / "
        f"无法监听地址 {host} 的端口 {port}；请换一个地址或端口"
        "（tocsin serve 取自 TOCSIN_API_HOST 与 TOCSIN_API_PORT）"
    )


async def _postgresql_fault(url: str) -> Fault | None:
    server = _named("PostgreSQL", "TOCSIN_DATABASE_URL", url)
    try:
        return await _unfit(server, url)
    except SettingsRefused:
        return server.pooler([])
    except PostgresRefusal as error:
        return _refused(server, error)
    except ValueError:  # before UNREACHABLE, which the driver's own is as well
        return server.fault(
            f"has an address that cannot be read; mend {server.setting}: "
            "postgresql://USER:PASSWORD@HOST:PORT/DATABASE",
            f"的地址无法解析；请改正 {server.setting}：postgresql://用户:密码@主机:端口/数据库",
        )
    except UNREACHABLE as error:
        return server.tls() if "SSL" in str(error) else server.away(_cause(error))


async def _unfit(server: _Server, url: str) -> Fault | None:
    """Why a PostgreSQL that answers is of no use; None: it will do."""
    found, encoding = await read_version(url)
    if is_older(found, (POSTGRESQL_MAJOR,)):
        return server.version(found.split()[0], str(POSTGRESQL_MAJOR))
    if encoding != ENCODING:
        return server.encoding(encoding)
    ignored = await ignored_settings(url)
    return server.pooler(ignored) if ignored else None


def _refused(server: _Server, error: PostgresRefusal) -> Fault:
    """What PostgreSQL says before it lets anybody in."""
    state = error.sqlstate
    if state == "28000" and ("encryption" in str(error) or "SSL" in str(error)):
        return server.tls()
    if state in ("28P01", "28000"):
        return server.password()
    if state == "3D000":
        return server.fault(
            f"has no database {server.database}; create it (CREATE DATABASE), or mend "
            f"{server.setting}",
            f"没有数据库 {server.database}；请创建（CREATE DATABASE），或改正 {server.setting}",
        )
    return server.fault(
        f"refuses the connection (SQLSTATE {state}); see its log",
        f"拒绝连接（SQLSTATE {state}）；请查看其日志",
        passing=True,
    )


async def _redis_fault(url: str) -> Fault | None:
    server = _named("Redis", "TOCSIN_REDIS_URL", url)
    try:
        async with open_redis(url) as redis:
            info: dict[str, Any] = await redis.info("server")
    except (RedisError, OSError) as error:
        return _redis_trouble(server, error, tls=url.startswith("rediss"))
    except ValueError as error:
        return _unread(server, error)
    if "cluster" in (info.get("redis_mode"), info.get("server_mode")):
        return server.fault(
            "runs in cluster mode, which is not supported: the pace asks for several keys at once;"
            f" name one server, or sentinels, in {server.setting}",
            "以集群模式运行，不支持：限速需要同时读写多个键；请在"
            f" {server.setting} 中写单个服务器或哨兵",
        )
    outdated = outdated_redis(info)
    return server.version(*outdated) if outdated else None


def _redis_trouble(server: _Server, error: RedisError | OSError, *, tls: bool) -> Fault | None:
    """What Redis, or a sentinel, answers instead of what it was asked for."""
    if isinstance(error, AuthenticationError):
        return server.password()
    if isinstance(error, UnknownPrimary):
        return server.fault(
            f"has sentinels that know no primary of the name in {server.setting}; mend either",
            f"的哨兵不认识 {server.setting} 中的主节点名；请改正其一",
        )
    if isinstance(error, ResponseError):
        return _redis_refusal(server, error)
    return _redis_away(server, _cause(error), tls=tls)


def _unread(server: _Server, error: ValueError) -> Fault:
    """An address that cannot be read, and why, where our own reader says it."""
    if isinstance(said := sentence_of(error), Phrase):
        why = translated(said, "en"), translated(said, "zh")
    else:
        why = "redis://:PASSWORD@HOST:PORT/NUMBER", "redis://:密码@主机:端口/库号"
    return server.fault(
        f"has an address that cannot be read; mend {server.setting}: {why[0]}",
        f"的地址无法解析；请改正 {server.setting}：{why[1]}",
    )


def is_older(found: str, needed: tuple[int, ...]) -> bool:
    """Whether a version is older than the one needed; one that says nothing of itself is not."""
    numbers = re.match(r"(\d+)(?:\.(\d+))?", found)
    if numbers is None:
        return False
    return tuple(int(n or 0) for n in numbers.groups())[: len(needed)] < needed


def _redis_away(server: _Server, error: BaseException, *, tls: bool) -> Fault:
    """A Redis without TLS waits for the rest of what it takes for a command, and says nothing."""
    if not tls or isinstance(error, ConnectionRefusedError | socket.gaierror):
        return server.away(error)
    return server.fault(
        f"does not answer over TLS: it has none, or it is away; write redis:// in {server.setting} "
        "if it has none, or start it",
        f"没有以 TLS 应答：它未启用 TLS，或已停止；未启用时 {server.setting} 用 redis://，否则请启动它",
        passing=True,
    )


def _redis_refusal(server: _Server, error: ResponseError) -> Fault | None:
    text = str(error)
    if "NOAUTH" in text or "WRONGPASS" in text or "uthentication" in text:
        return server.password()
    if "DB index" in text:
        return server.fault(
            f"has no database {server.database}; mend {server.setting}",
            f"没有库 {server.database}；请改正 {server.setting}",
        )
    return None  # it answers, and lets nobody ask for its version


def _cause(error: BaseException) -> BaseException:
    """What the network said, under what the library made of it."""
    under: BaseException | None = error
    while under is not None and not isinstance(under, OSError):
        under = under.__cause__ or under.__context__
    return under or error


def _named(name: str, setting: str, url: str) -> _Server:
    """A server by what its URL says, without its password."""
    try:
        if address := read_redis_address(url):
            user, number = address.user or "default", str(address.database)
            return _Server(name, setting, address.shown, user, number)
        parts = urlsplit(url)
        hosts = parts.netloc.rpartition("@")[2]
        query = parse_qs(parts.query)
        where = hosts or query.get("host", [""])[0] or parts.path
        user = unquote(parts.username or "") or query.get("user", ["default"])[0]
        database = parts.path.lstrip("/") if hosts or parts.scheme != "unix" else "0"
    except ValueError:
        return _Server(name, setting, "?", "?", "?")
    return _Server(name, setting, where, user, database)
