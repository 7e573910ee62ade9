"""Makes bad packets out of good ones."""

from collections.abc import Callable, Sequence
from random import Random

LENGTH_OCTETS = 4
MOST_MUTATIONS = 4
MOST_BODY = 2_000
_EDGES = (0, 1, 2, 0x0A, 0x20, 0x7F, 0x80, 0xFE, 0xFF)
_HEADERS = (8, 12, 16, 20)

Mutation = Callable[[Random, bytearray, Sequence[bytes]], None]


def mutated(random: Random, seeds: Sequence[bytes]) -> bytes:
    """A seed with some things wrong. Its own length field is put right mostly, so that what is
    behind the framing gets something to do.
    """
    data = bytearray(random.choice(seeds))
    for _ in range(random.randint(1, MOST_MUTATIONS)):
        random.choice(_MUTATIONS)(random, data, seeds)
    if random.random() < 0.9 and len(data) >= LENGTH_OCTETS:
        data[:LENGTH_OCTETS] = len(data).to_bytes(LENGTH_OCTETS, "big")
    return bytes(data)


def broken_inside(random: Random, seeds: Sequence[bytes], header: int) -> bytes:
    """A seed with its header, the right length, and a body that mostly is broken."""
    seed = random.choice(seeds)
    body = bytearray(seed[header:])
    for _ in range(random.choice((0, 1, 1, 1, 2, MOST_MUTATIONS))):
        random.choice(_INSIDE)(random, body, seeds)
    del body[MOST_BODY:]
    return (header + len(body)).to_bytes(LENGTH_OCTETS, "big") + seed[LENGTH_OCTETS:header] + body


def _flip_bits(random: Random, data: bytearray, _others: Sequence[bytes]) -> None:
    for _ in range(random.randint(1, 8)):
        if data:
            data[random.randrange(len(data))] ^= 1 << random.randrange(8)


def _set_octet(random: Random, data: bytearray, _: Sequence[bytes]) -> None:
    if data:
        data[random.randrange(len(data))] = random.choice(_EDGES)


def _truncate(random: Random, data: bytearray, _: Sequence[bytes]) -> None:
    del data[random.randint(0, len(data)) :]


def _append(random: Random, data: bytearray, _: Sequence[bytes]) -> None:
    data += random.randbytes(random.randint(1, 40))


def _cut_out(random: Random, data: bytearray, _: Sequence[bytes]) -> None:
    start = random.randint(0, len(data))
    del data[start : start + random.randint(1, 12)]


def _put_in(random: Random, data: bytearray, _: Sequence[bytes]) -> None:
    start = random.randint(0, len(data))
    data[start:start] = random.randbytes(random.randint(1, 12))


def _repeat(random: Random, data: bytearray, _: Sequence[bytes]) -> None:
    start = random.randint(0, len(data))
    data[start:start] = data[start : start + random.randint(1, 40)]


def _lie_about_a_length(random: Random, data: bytearray, _: Sequence[bytes]) -> None:
    octets = random.choice((1, 2, 4))
    if len(data) < octets:
        return
    largest = 256**octets - 1
    lies = (0, 1, len(data), len(data) + 1, largest, largest // 2, random.randint(0, largest))
    start = random.randint(0, len(data) - octets)
    data[start : start + octets] = (random.choice(lies) & largest).to_bytes(octets, "big")


def _splice(random: Random, data: bytearray, seeds: Sequence[bytes]) -> None:
    other = random.choice(seeds)
    data[random.randint(0, len(data)) :] = other[random.randint(0, len(other)) :]


def _behead(random: Random, data: bytearray, seeds: Sequence[bytes]) -> None:
    """The header of another packet before this body."""
    header = random.choice(_HEADERS)
    data[:header] = random.choice(seeds)[:header]


_MUTATIONS: tuple[Mutation, ...] = (
    *(_flip_bits, _set_octet, _truncate, _append, _cut_out, _put_in, _repeat),
    *(_lie_about_a_length, _splice, _behead),
)
_INSIDE: tuple[Mutation, ...] = (
    *(_flip_bits, _set_octet, _truncate, _append, _cut_out, _put_in, _repeat),
    *(_lie_about_a_length, _lie_about_a_length, _lie_about_a_length, _splice),
)
