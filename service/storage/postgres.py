"""The only door to the PostgreSQL driver: pools, connections, transactions.

One module: another one that touched the driver would be a second door.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from types import SimpleNamespace, TracebackType
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import asyncpg
from asyncpg import connect_utils
from asyncpg.cursor import CursorFactory
from asyncpg.pool import PoolAcquireContext, PoolConnectionProxy
from asyncpg.transaction import Transaction

from service.peer_timeouts import Reachability, keep_alive

log = logging.getLogger(__name__)

Record = asyncpg.Record
if TYPE_CHECKING:  # generic in the stubs, not at run time
    _Pool = asyncpg.Pool[asyncpg.Record]
    _Connection = asyncpg.Connection[asyncpg.Record]
    _Acquire = PoolAcquireContext[asyncpg.Record]
    _Isolation = Literal["read_uncommitted", "read_committed", "serializable", "repeatable_read"]
    Connection = _Connection | PoolConnectionProxy[asyncpg.Record]
    Cursor = CursorFactory[asyncpg.Record]
else:
    _Pool, _Connection, _Acquire = asyncpg.Pool, asyncpg.Connection, PoolAcquireContext
    _Isolation = str
    Connection = _Connection | PoolConnectionProxy
    Cursor = CursorFactory
UniqueViolation = asyncpg.UniqueViolationError
CheckViolation = asyncpg.CheckViolationError
ForeignKeyViolation = asyncpg.ForeignKeyViolationError

PostgresRefusal = asyncpg.PostgresError
"""What the server itself says; `sqlstate` tells which."""
NoTable = asyncpg.UndefinedTableError
NoRight = asyncpg.InsufficientPrivilegeError
LockTimeout = asyncpg.LockNotAvailableError
"""A lock was not free within the `lock_timeout` of a statement."""
WrongPassword = asyncpg.InvalidAuthorizationSpecificationError
TooManyConnections = asyncpg.TooManyConnectionsError
OutOfRoom = asyncpg.DiskFullError

UNREACHABLE: tuple[type[Exception], ...] = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.ConnectionDoesNotExistError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InsufficientResourcesError,  # no disk, no memory, no more connections
    asyncpg.InternalClientError,  # what the driver says when the server dies between two commands
    asyncpg.ReadOnlySQLTransactionError,  # a primary that has become a standby
    asyncpg.InvalidAuthorizationSpecificationError,  # a password that was changed meanwhile
    asyncpg.TransactionTimeoutError,
)
"""What a database that is down, silent (TimeoutError is an OSError), restarting, full (of
connections, of data), locked to us or not the primary any more raises: wait and try again. So does
`TooSlow`, which is one of them."""


StatementTimeout = asyncpg.QueryCanceledError
"""The server has ended a statement that took longer than its `statement_timeout` allows."""


class TooSlow(TimeoutError):
    """A statement or its transaction passed its limit, on a server that answers.

    Waiting does not help as it does when the server is away: whoever tries again tries less at
    once. The pool has logged it, with the place of the statement.
    """


class Busy(TimeoutError):
    """Every connection of a pool was in use for as long as one was waited for."""


class Overtaken(Exception):  # no fault of anybody
    """Somebody else did the same and has committed it; whoever tries again will see it."""


COLLISIONS: tuple[type[Exception], ...] = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    Overtaken,
)
"""Two writers met; the loser's transaction left nothing and can simply be run again."""

UNFIT: tuple[type[Exception], ...] = (asyncpg.DataError, ValueError, TypeError, OverflowError)
"""A value that PostgreSQL or the driver takes in no way: trying again changes nothing. To be caught
before UNREACHABLE, which some of these are as well."""


SESSION = {
    # A process that is frozen in the middle of a transaction must not hold its locks for ever.
    "idle_in_transaction_session_timeout": "10s",
    # Nor one whose statement came half: the server waits for the rest of it, which is not idle.
    "transaction_timeout": "60s",
    # The advisory locks of the hand-off rely on each statement seeing what was committed before it.
    "default_transaction_isolation": "read committed",
}


BY_KEY = {
    # A plan may be made while the tables are as good as empty, or by statistics that know nothing
    # of the newest run: then it would read whole tables (decision 0130).
    "enable_seqscan": "off",
    # Work goes on within 30 s (I4), also behind a transaction that nobody ends.
    "transaction_timeout": "20s",
}
"""For a pool whose statements all look things up by a key: the hand-off, receipts, the acts of the
scheduler."""


HOT_SECONDS = 10.0
"""How long a statement of a pool may take, unless whoever makes it says otherwise."""
COUNT_SECONDS = 120.0
"""The same for a connection outside any pool, and for what counts, lists or exports much."""
LONG_SECONDS = 3_600.0
"""What is written or read at once about a whole population: a ledger, a file, a migration."""
WAIT_SECONDS = 10.0
"""How long a free connection of a pool is waited for."""
CONNECT_SECONDS = 5.0
"""How long one host of the address may take to take a connection."""
_CANCEL_SECONDS = 3.0
_ANSWER_SECONDS = 1.0
"""How long a server that has not ended a statement in time is given to take the request to cancel:
one that does not is taken for unreachable."""

_BUILT_IN = 10_000
"""Below it are the types that PostgreSQL numbers by hand, alike on all servers."""
_built_in: dict[int, Record] = {}
"""What this process has been told of these: what a type is made of stands before it."""
_kept = SimpleNamespace(name="none")
"""In the place of the statement by which the driver would have asked."""

_reach = Reachability("PostgreSQL")
_cancelling: set[asyncio.Task[bool]] = set()

_SERVER_KEEPALIVE = "; ".join(
    f"SET {name} = {value}"
    for name, value in {
        "tcp_keepalives_idle": 5,
        "tcp_keepalives_interval": 2,
        "tcp_keepalives_count": 3,
        "tcp_user_timeout": 10_000,
    }.items()
)
"""The server's end of the socket: a session whose client is gone must not keep its locks."""


class _Transaction(Transaction):
    """One whose end never hides why it ended, even where nothing can be rolled back any more."""

    _connection: Any

    async def __aexit__(self, extype: object, ex: object, tb: object) -> None:
        if ex is None:
            await super().__aexit__(extype, ex, tb)
            return
        try:
            await super().__aexit__(extype, ex, tb)
        except UNREACHABLE:
            self._connection.terminate()  # the server rolls back what has lost its connection


class OwnConnection(_Connection):
    """A connection that is given up as soon as a statement on it timed out or was cancelled.

    The driver would ask the server to cancel, and wait for it to say so before the connection is
    used, closed or rolled back: for ever, where the server is silent.
    """

    _protocol: Any
    _loop: asyncio.AbstractEventLoop
    _addr: Any
    _params: Any
    _config: Any
    _cancel: "asyncio.Task[bool] | None" = None

    def __init__(self, protocol: Any, transport: Any, *others: Any) -> None:
        super().__init__(protocol, transport, *others)
        keep_alive(transport.get_extra_info("socket"))

    def transaction(
        self,
        *,
        isolation: _Isolation | None = None,
        readonly: bool = False,
        deferrable: bool = False,
    ) -> Transaction:
        """As the driver's, but see `_Transaction`."""
        return _Transaction(self, isolation, readonly, deferrable)

    async def _introspect_types(
        self,
        typeoids: Iterable[int],
        timeout: float,  # noqa: ASYNC109  # the driver's own
    ) -> tuple[Any, Any]:
        """What types are made of, as the driver asks for it when a statement has some that it does
        not know: arrays, above all.

        It would ask on each connection again, in three round trips that cost the server more than
        most statements. A process asks once for a type that is built in.
        """
        wanted = set(typeoids)
        if wanted <= _built_in.keys():
            return list(_built_in.values()), _kept
        driver: Any = super()
        types, statement = await driver._introspect_types(wanted, timeout)  # noqa: SLF001
        for record in types:
            if record["oid"] < _BUILT_IN:
                _built_in.setdefault(record["oid"], record)
        return types, statement

    def allow(self, seconds: float) -> None:
        """From now on a statement may take so many seconds."""
        self._config = self._config._replace(command_timeout=seconds)

    def _cancel_current_command(self, *_: object) -> None:
        """Ask the server to stop, if it hears that, and drop the connection in any case."""
        key = self._protocol.backend_pid, self._protocol.backend_secret
        task = self._loop.create_task(_cancel_at_server(self._addr, self._params, *key))
        self._cancel = task
        _cancelling.add(task)
        task.add_done_callback(_cancelling.discard)
        self._loop.call_soon(self.terminate)  # the driver is in the middle of its own book-keeping

    async def answers(self) -> bool:
        """Whether the server took the request to cancel the statement that was given up."""
        if self._cancel is None:
            return False
        done, _ = await asyncio.wait({self._cancel}, timeout=_ANSWER_SECONDS)
        return bool(done) and self._cancel.result()


async def _cancel_at_server(addr: Any, params: Any, pid: int, secret: Any) -> bool:
    """Ask for it; returns whether the server took the request."""
    driver: Any = connect_utils
    loop = asyncio.get_running_loop()
    with suppress(*UNREACHABLE):
        async with asyncio.timeout(_CANCEL_SECONDS):
            await driver._cancel(  # noqa: SLF001
                loop=loop, addr=addr, params=params, backend_pid=pid, backend_secret=secret
            )
            return True
    return False


def _has_outlasted(error: BaseException) -> bool:
    """Whether the server has ended a session since its transaction took too long. The driver says
    then that the connection was closed, for that reason.
    """
    timeout = asyncpg.TransactionTimeoutError
    return isinstance(error, timeout) or isinstance(error.__cause__, timeout)


def _statement_of(trace: TracebackType | None, limit: float, elapsed: float) -> tuple[str, float]:
    """Where a statement stands that failed so, as module and function, and how many seconds it was
    given: `limit`, unless the call says otherwise; `elapsed` where a block around it has ended.
    """
    place, is_given = "a statement", False
    while trace is not None:
        frame = trace.tb_frame
        module = str(frame.f_globals.get("__name__"))
        if module.startswith("asyncpg."):
            if not is_given and "timeout" in frame.f_locals:  # further in it is what is left of it
                limit, is_given = frame.f_locals["timeout"] or limit, True
        elif module == "asyncio.timeouts":
            limit = elapsed
        elif module not in _NO_PLACE:
            place = f"{module}.{frame.f_code.co_qualname}"
        trace = trace.tb_next
    return place, limit


_NO_PLACE = {__name__, "service.storage.sql", "contextlib"}


class _Acquired(_Acquire):
    """A connection of a pool for as long as the block runs."""

    connection: Any
    pool: Any

    def __init__(self, pool: "Pool", timeout: float, seconds: float) -> None:
        super().__init__(pool, timeout)
        self._seconds = seconds
        self._since = 0.0
        self._own: Any = None

    async def __aenter__(self) -> "PoolConnectionProxy[asyncpg.Record]":
        try:
            proxy: Any = await super().__aenter__()
        except TimeoutError as error:
            if self.pool.is_full:
                raise Busy from error
            raise
        proxy.allow(self._seconds)
        self._since = asyncio.get_running_loop().time()
        self._own = proxy._con  # noqa: SLF001  # the proxy lets go of one that was given up
        return proxy  # type: ignore[no-any-return]  # the driver's stubs leave it open

    async def __aexit__(self, *exc: object) -> None:
        """Give the connection back, unless it is half-dead.

        Raises:
            TooSlow: in the place of the driver's error, if the server answers.
        """
        error = exc[1]
        elapsed = round(asyncio.get_running_loop().time() - self._since, 1)
        await self._give_back(error, exc)
        if isinstance(error, Exception) and _has_outlasted(error):
            place, _ = _statement_of(error.__traceback__, elapsed, elapsed)
            log.error("a transaction takes too long", extra={"statement": place, "limit": elapsed})
            raise TooSlow(f"{place}: its transaction took more than {elapsed:g} s") from error
        if not isinstance(error, TimeoutError) or isinstance(error, Busy | TooSlow):
            return
        if not await self._own.answers():
            self.pool.reach.note_loss(error)
            return
        place, limit = _statement_of(error.__traceback__, self._seconds, elapsed)
        log.error("a statement takes too long", extra={"statement": place, "limit": limit})
        raise TooSlow(f"{place} did not end within {limit:g} s") from error

    async def _give_back(self, error: object, exc: tuple[Any, ...]) -> None:
        if isinstance(error, UNREACHABLE) and not isinstance(error, Busy):
            # One that the server ended has left the pool already, and says so: that must not hide
            # why.
            with suppress(asyncpg.InterfaceError):
                self.connection.terminate()
            if not _has_outlasted(error):
                self.pool.drop_idle()
        if error is None:
            await super().__aexit__(*exc)
            return
        # A connection may be gone while it is given back: that must not hide why the block ended,
        # and least of all that it was cancelled.
        with suppress(*UNREACHABLE):
            await super().__aexit__(*exc)


class Pool(_Pool):
    """Connections whose every statement has a time limit on this side: a silent server ends none
    by itself.
    """

    _holders: list[Any]

    def __init__(
        self,
        *arguments: Any,
        seconds: float = HOT_SECONDS,
        reach: Reachability = _reach,
        **options: Any,
    ) -> None:
        super().__init__(*arguments, connect=partial(_connect, reach=reach), **options)
        self._seconds = seconds
        self.reach = reach

    @property
    def is_full(self) -> bool:
        """Whether all connections that there may be are open and in use."""
        return self.get_size() >= self.get_max_size() and not self.get_idle_size()

    def drop_idle(self) -> None:
        """Give up the connections that nobody uses: they may be as dead as the one that was."""
        for holder in self._holders:
            if holder.is_idle() and holder.is_connected():
                holder.terminate()

    def acquire(self, *, timeout: float | None = None, seconds: float | None = None) -> "_Acquired":
        """A connection for a block. timeout: how many seconds it is waited for; seconds: how many
        each statement on it may take, where it is not as many as the pool says.
        """
        return _Acquired(self, timeout or WAIT_SECONDS, seconds or self._seconds)


async def _prepare(connection: _Connection) -> None:
    for name in ("json", "jsonb"):
        await connection.set_type_codec(
            name, encoder=json.dumps, decoder=json.loads, schema="pg_catalog"
        )
    await connection.execute(_SERVER_KEEPALIVE)


async def _keep(_: _Connection) -> None:
    """Nothing to reset: no code leaves session state behind, and a reset costs a round trip."""


def _hosts(url: str) -> list[dict[str, Any]]:
    """Each host of an address by itself, as arguments for the driver, which has one time limit for
    all of them: a silent one would use it up, and the next would never be asked.
    """
    listed = urlsplit(url).netloc.rpartition("@")[2].split(",")
    if len(listed) == 1:
        return [{}]
    hosts = []
    for text in listed:
        host, _, port = text.rpartition(":") if not text.endswith("]") else (text, "", "")
        hosts.append(
            {"host": (host or port).strip("[]"), "port": int(port) if host and port else 5432}
        )
    return hosts


async def _connect(url: str, *, reach: Reachability = _reach, **options: Any) -> OwnConnection:
    """A connection to the first host of an address that takes one. reach: whose log it is.

    Raises:
        one of UNREACHABLE: none did; what the last one said.
        PostgresError: it refuses, with its reason.
    """
    try:
        connection: OwnConnection = await _open(url, options | {"connection_class": OwnConnection})
    except UNREACHABLE as error:
        reach.note_loss(error)
        raise
    reach.note_answer()
    return connection


async def _open(url: str, options: Mapping[str, Any]) -> Any:
    *others, last = _hosts(url)
    for host in others:
        with suppress(*UNREACHABLE):
            return await asyncpg.connect(url, timeout=CONNECT_SECONDS, **options, **host)
    return await asyncpg.connect(url, timeout=CONNECT_SECONDS, **options, **last)


async def limit_statements(conn: Connection, seconds: float) -> None:
    """Let the server end each statement of this transaction that takes longer: `StatementTimeout`.

    Unlike the time limit on this side, it leaves the connection whole. The transaction may take as
    long as ten of them.
    """
    milliseconds = round(seconds * 1000)
    await conn.execute(
        f"SET LOCAL statement_timeout = {milliseconds};"
        # A value above 0 starts no timer where one runs, so the session's must be stopped first.
        "SET LOCAL transaction_timeout = 0;"
        f"SET LOCAL transaction_timeout = {10 * milliseconds}"
    )


async def limit_pauses(conn: Connection, seconds: float) -> None:
    """Let this transaction wait for its process so long between two statements; 0: for ever. The
    server ends the session of a process that stands still for longer. As a whole it may take as
    long as it needs.
    """
    milliseconds = round(seconds * 1000)
    await conn.execute(
        f"SET LOCAL idle_in_transaction_session_timeout = {milliseconds};"
        "SET LOCAL transaction_timeout = 0"
    )


async def read_version(url: str) -> tuple[str, str]:
    """The version that a server says it is, e.g. "18.6", and the encoding of the database, e.g.
    "UTF8"; nothing of it is logged.

    Raises:
        ValueError: the address cannot be read.
        one of UNREACHABLE: nobody answers there.
        PostgresRefusal: it lets this user not in; `sqlstate` says why.
    """
    connection = await _open(url, {"command_timeout": CONNECT_SECONDS})
    try:
        version, encoding = await connection.fetchrow(
            "SELECT current_setting('server_version'), current_setting('server_encoding')"
        )
        return version, encoding
    finally:
        connection.terminate()


class SettingsRefused(Exception):
    """A pooler lets nobody in who asks for the settings of a session."""


async def ignored_settings(url: str) -> list[str]:
    """The settings that a session asks for at its start and does not get: a pooler drops them.

    Raises:
        SettingsRefused: a pooler knows one of them not, and refuses the session.
        one of UNREACHABLE: nobody answers there.
        PostgresRefusal: it lets this user not in; `sqlstate` says why.
    """
    asked = {**SESSION, **BY_KEY}  # the strictest of both
    options = {"command_timeout": CONNECT_SECONDS, "server_settings": asked}
    try:
        connection = await _open(url, options)
    except asyncpg.ProtocolViolationError as error:
        raise SettingsRefused from error
    try:
        got = {name: await connection.fetchval(f"SHOW {name}") for name in asked}
    finally:
        connection.terminate()
    return [name for name, value in asked.items() if got[name] != value]


async def is_pooled(conn: Connection) -> bool:
    """Whether a pooler stands between: it gives a session a key of its own, and another process of
    the server to each transaction.
    """
    pid = await conn.fetchval("SELECT pg_backend_pid()")
    return bool(conn.get_server_pid() != pid)


async def connect(url: str, *, seconds: float = COUNT_SECONDS) -> OwnConnection:
    """One connection of its own, outside any pool; a statement on it may take so many seconds."""
    connection = await _connect(url, command_timeout=seconds)
    try:
        await _prepare(connection)
    except BaseException:
        connection.terminate()  # nobody else has it
        raise
    return connection


@asynccontextmanager
async def connected(url: str, *, seconds: float = COUNT_SECONDS) -> AsyncIterator[OwnConnection]:
    """One connection of its own, closed at the end."""
    connection = await connect(url, seconds=seconds)
    try:
        yield connection
    finally:
        with suppress(*UNREACHABLE):  # it is gone then, which is all that is wanted
            await connection.close(timeout=5)


PLAN_SECONDS = 60
"""How long a statement stays prepared, and so a plan is kept: one that was made for a small table
must not serve a large one for long. Whoever analyses the table ends it before."""


@asynccontextmanager
async def open_pool(
    url: str,
    *,
    size: int,
    session: Mapping[str, str] = {},
    seconds: float = HOT_SECONDS,
    server: str | None = None,
) -> AsyncIterator[Pool]:
    """A pool of at most `size` connections, closed at the end; session: further settings; seconds:
    how long a statement may take where nothing else is said; server: what the log calls it, where
    it is not the PostgreSQL that everything is in.
    """
    pool = Pool(
        url,
        server_settings={**SESSION, **session},
        min_size=0,
        max_size=size,
        max_queries=50_000,
        max_inactive_connection_lifetime=300.0,
        setup=None,
        init=_prepare,
        reset=_keep,
        loop=None,
        connection_class=OwnConnection,
        record_class=Record,
        command_timeout=seconds,
        seconds=seconds,
        reach=_reach if server is None else Reachability(server),
        max_cached_statement_lifetime=PLAN_SECONDS,
    )
    await pool
    try:
        yield pool
    finally:
        try:
            await asyncio.wait_for(pool.close(), 5)
        except UNREACHABLE:
            pool.terminate()


@asynccontextmanager
async def transaction(pool: Pool, *, seconds: float | None = None) -> AsyncIterator[Connection]:
    """A connection inside a transaction: all of it or none. Never held across a gateway call.

    seconds: how long a statement in it may take, where it is not as long as the pool says.
    """
    async with pool.acquire(seconds=seconds) as connection, connection.transaction():
        if seconds is not None and seconds > HOT_SECONDS:
            await connection.execute("SET LOCAL transaction_timeout = 0")
        yield connection


def affected(status: str) -> int:
    """The number of rows in a command's status, e.g. 3 for "UPDATE 3"."""
    return int(status.rsplit(" ", 1)[-1])


def one(row: Record | None) -> Record:
    """The row of a statement that must have one (INSERT … RETURNING, aggregates)."""
    if row is None:
        raise LookupError("the statement returned no row")
    return row
