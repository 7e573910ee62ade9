"""How a channel would cut a text, told without its link being opened.

The signature stands where the channel's contract puts it, and takes room where it does. What leaves
whole is cut by the carrier or provider, into as many parts as any handset needs for it.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from service.channels.contract.gateway import Delivery
from service.channels.contract.model import Channel
from service.channels.contract.registry import factory
from service.clock import Clock
from service.coding import parts
from service.coding.parts import Coding, Part
from service.errors import Invalid
from service.messages.lint.lint_form import MOST_PARTS
from service.messages.signature import place, split_signed
from service.words.phrase import phrase


@dataclass(frozen=True, slots=True)
class Cut:
    """What becomes of a text on a channel.

    encoding: "UCS2", "GSM7" …; None if the channel does not take the text.
    parts: what it is read and paid in. submits: what it leaves in; fewer where others cut it.
    problem: why it does not fit, as a sentence; None if it does.
    """

    channel_id: int
    channel: str
    encoding: str | None
    parts: int | None
    submits: int | None
    problem: str | None

    @property
    def fits(self) -> bool:
        """Whether the channel takes it, in no more parts than lint allows (R15)."""
        return self.problem is None


class Cutter:
    """Tells how one channel would cut texts."""

    def __init__(self, channel: Channel, clock: Clock) -> None:
        self._channel = channel
        self._split = splitter(channel, clock)

    def cut(self, text: str) -> Cut:
        """What becomes of a text, its variables filled and its signature at the head."""
        channel = self._channel
        try:
            submits = self._split(text)
        except Invalid as refused:
            return Cut(channel.id, channel.name, None, None, None, refused.message)
        coding = submits[0].coding
        count = len(submits) if len(submits) > 1 else self._parts(text, coding)
        problem = None
        if count > MOST_PARTS:
            problem = phrase(
                "the text has {count} parts here; shorten it to at most {most_parts}",
                count=count,
                most_parts=MOST_PARTS,
            )
        return Cut(channel.id, channel.name, coding.name, count, len(submits), problem)

    def _parts(self, text: str, coding: Coding) -> int:
        """The parts of what leaves in one piece."""
        channel = self._channel
        with_signature = channel.signature.startswith("carrier") and channel.signature_counts
        read = text if with_signature else place(text, channel.signature)
        return parts.count(read, coding=coding)[1]


def splitter(channel: Channel, clock: Clock) -> Callable[[str], tuple[Part, ...]]:
    """What cuts a text as the channel's hand-off does; raises as `Gateway.split`."""
    split = factory(channel.kind)(channel.config, _take_nothing, clock).split
    mode, counts = channel.signature, channel.signature_counts
    return lambda text: split_signed(text, split, mode, counts=counts)


def _take_nothing(_: Delivery) -> "asyncio.Future[None]":
    refused: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    refused.cancel()
    return refused
