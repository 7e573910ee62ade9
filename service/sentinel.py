"""Connections to the primary that Sentinel names, made anew wherever another one takes over.

A connection asks the sentinels before it is made. The newest of their answers counts, once most of
them have answered: one that was cut off, and still names the old primary, is outvoted. A connection
whose server takes no more writes is closed, so that the next command asks again.

Written beside the library's own `Sentinel`, which asks one after another, takes the first answer,
and loses sentinels from its list where two tasks ask at once (decision 0470).
"""

import asyncio
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.sentinel import (
    MasterNotFoundError,
    Sentinel,
    SentinelConnectionPool,
    SentinelManagedConnection,
)
from redis.exceptions import AuthenticationError, RedisError, ResponseError
from redis.exceptions import ConnectionError as LostConnection

from service.redis_address import SentinelAddress

NO_WRITES = "NOREPLICAS"
"""What a primary says that too few replicas follow: they may follow another one already."""


class UnknownPrimary(MasterNotFoundError):
    """The sentinels answer, and have no primary of this name."""


_States = dict[str, dict[str, Any]]
"""What a sentinel knows of its primaries, by their names."""


class _Sentinels(Sentinel):
    """Sentinels that are asked all at once."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)  # type: ignore[no-untyped-call]  # the library's
        self._asked: set[asyncio.Task[_States | Exception]] = set()

    async def discover_master(self, service_name: str) -> tuple[str, int]:
        """The host and port of the primary.

        Raises:
            UnknownPrimary: no sentinel knows the name.
            RedisError: none answers, or none knows a primary that works.
        """
        answers, errors = await self._ask_most()
        known = [answer[service_name] for answer in answers if service_name in answer]
        if answers and not known:
            raise UnknownPrimary(f"the sentinels know no primary named {service_name!r}")
        good = [state for state in known if self.check_master_state(state, service_name)]
        if good:
            newest = max(good, key=lambda state: int(state["config-epoch"]))
            return newest["ip"], newest["port"]
        for error in errors:
            if isinstance(error, ResponseError | AuthenticationError):
                raise error
        why = errors[0] if errors else None
        raise MasterNotFoundError(f"no sentinel knows a {service_name!r} that works") from why

    async def _ask_most(self) -> tuple[list[_States], list[Exception]]:
        """What more than half have answered, or all who do; and what went wrong. The others are
        left to end by themselves: a connection on which a task was cancelled may be out of step.
        """
        asked = [asyncio.create_task(_ask(one)) for one in self.sentinels]
        for task in asked:
            self._asked.add(task)
            task.add_done_callback(self._asked.discard)
        answers: list[_States] = []
        errors: list[Exception] = []
        for one in asyncio.as_completed(asked):
            found = await one
            if isinstance(found, Exception):
                errors.append(found)
            else:
                answers.append(found)
            if len(answers) * 2 > len(asked):
                break
        return answers, errors

    async def close(self) -> None:
        """Close the connections to the sentinels."""
        asked = list(self._asked)
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
        await asyncio.gather(*(one.aclose() for one in self.sentinels))


async def _ask(sentinel: Redis) -> _States | Exception:
    try:
        states: _States = await sentinel.sentinel_masters()  # type: ignore[no-untyped-call]  # the library's
    except (RedisError, OSError) as error:
        return error
    return states


class _PrimaryConnection(SentinelManagedConnection):
    """A connection that is closed where its server takes no writes."""

    async def read_response(self, *args: Any, **options: Any) -> Any:
        """As the library has it, which closes that to a replica."""
        try:
            return await super().read_response(*args, **options)
        except ResponseError as error:
            if str(error).startswith(NO_WRITES):
                await self.disconnect()
                raise LostConnection(f"another primary may have taken over: {error}") from error
            raise


class SentinelPool(SentinelConnectionPool):
    """Connections to the primary. Where one was given up, those that rest beside it are too."""

    def __init__(self, address: SentinelAddress, options: dict[str, Any]) -> None:
        sentinels = _Sentinels(
            address.sentinels,
            sentinel_kwargs=options | {"password": address.sentinel_password},
        )
        super().__init__(  # type: ignore[no-untyped-call]  # the library's
            address.primary,
            sentinels,
            connection_class=_PrimaryConnection,
            db=address.database,
            username=address.user,
            password=address.password,
            **options,
        )
        self._sentinels = sentinels

    async def release(self, connection: AbstractConnection) -> None:
        """Take a connection back."""
        await super().release(connection)
        if not connection.is_connected:
            await self.disconnect(inuse_connections=False)

    async def disconnect(self, inuse_connections: bool = True) -> None:
        """Close connections; with those in use, those to the sentinels as well."""
        await super().disconnect(inuse_connections)
        if inuse_connections:
            await self._sentinels.close()
