"""Texts from handsets, on demand: what they say, in which parts, over which connections."""

from itertools import chain, count, zip_longest

from pydantic import BaseModel, ConfigDict, Field

from service.coding.parts import Coding, Part, split
from service.errors import Conflict, Invalid
from service.simulator.carrier.protocols import PROTOCOLS
from service.simulator.carrier.receipts import MOPart
from service.simulator.carrier.smsc import SMSC
from service.simulator.carrier.subscriber import Subscriber
from service.words.phrase import listing, phrase

_references = count(1)


class Reply(BaseModel):
    """A text from a handset."""

    model_config = ConfigDict(extra="forbid")

    phone: str = Field(pattern=r"^\+?[0-9]{3,15}$", description="Who writes, e.g. +8619790001234")
    to: str = Field(pattern=r"^(\+[0-9]{3,15}|[0-9]{3,21})$", description="The number written to")
    text: str = Field(max_length=10_000, description="What it says, e.g. R to opt out")


class Replies(BaseModel):
    """Texts from handsets to one account."""

    model_config = ConfigDict(extra="forbid")

    account: str | None = Field(default=None, description="Whose; may be left out if it is plain")
    protocol: str | None = Field(default=None, description="Over which protocol; likewise")
    messages: tuple[Reply, ...] = Field(min_length=1, max_length=1000, description="The texts")
    interleave: bool = Field(
        default=False,
        description="Send the texts' parts in turn, and each on another connection than the last",
    )


def originate(smsc: SMSC, replies: Replies) -> int:
    """Send the texts to their account; says how many parts that makes.

    Raises:
        Invalid: the account is not known, it is not plain which one is meant, or the number written
            to is too long for the protocol.
        Conflict: interleaving needs a second connection.
    """
    subscriber = _subscriber(smsc, replies)
    most = PROTOCOLS[subscriber.protocol].number_characters
    if any(len(reply.to) > most for reply in replies.messages):
        raise Invalid(
            phrase(
                "{protocol} has room for {most} characters of the number written to",
                protocol=subscriber.protocol,
                most=most,
            ),
            fields={"messages.to": phrase("at most {most} characters", most=most)},
        )
    texts = [_parts(subscriber, reply) for reply in replies.messages]
    if not replies.interleave:
        parts = list(chain.from_iterable(texts))
        subscriber.receipts.last(parts)
        return len(parts)
    if len(subscriber.receipts.links) < 2:
        raise Conflict(
            phrase(
                "interleaving takes two connections that receive; {channel} has {count}",
                channel=subscriber.name,
                count=len(subscriber.receipts.links),
            )
        )
    parts = [part for turn in zip_longest(*texts) for part in turn if part is not None]
    subscriber.receipts.spread(parts)
    return len(parts)


def _subscriber(smsc: SMSC, replies: Replies) -> Subscriber:
    found = [
        subscriber
        for (protocol, account), subscriber in smsc.subscribers.items()
        if replies.account in {None, account} and replies.protocol in {None, protocol}
    ]
    if len(found) == 1:
        return found[0]
    known = listing(f"{account}@{protocol}" for protocol, account in smsc.subscribers)
    which = phrase("several accounts fit") if found else phrase("no account fits")
    raise Invalid(
        phrase("{which}; name account and protocol: {known}", which=which, known=known),
        fields={"account": which},
    )


def _parts(subscriber: Subscriber, reply: Reply) -> list[MOPart]:
    reference = next(_references) & 0xFF
    if PROTOCOLS[subscriber.protocol].whole_texts:
        body = reply.text.encode("utf-16-be", "replace")
        return [MOPart(reply.phone, reply.to, Part(1, 1, Coding.UCS2, body), reference)]
    return [MOPart(reply.phone, reply.to, part, reference) for part in split(reply.text)]
