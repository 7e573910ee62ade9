"""Answers of Valkey, whose client's types leave open whether it is the synchronous one."""

from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


async def answered(command: Awaitable[T] | T) -> T:
    """The answer to a command of the asynchronous client."""
    assert isinstance(command, Awaitable)
    return await command
