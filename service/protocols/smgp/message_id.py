"""The layout of a MsgID: gateway 3, MMDDHHMM 4 and a sequence 3 octets, two decimal digits each.

Some gateways give ids that are no digits at all, so an id is kept as its 10 octets, shown as 20 hex
digits (which are its digits where it has any), and taken apart only to count.
"""

SEQUENCES = 1_000_000
"""The sequence wraps to 000000 here."""

_SEQUENCE_OCTETS = 3


def message_ids(first: bytes, count: int) -> tuple[bytes, ...]:
    """The ids of a submit's recipients in order, given the first, which its answer names.

    Their sequence parts follow each other (appendix B of the text).
    """
    if count == 1:
        return (first,)
    return tuple(following(first, offset) for offset in range(count))


def following(first: bytes, offset: int) -> bytes:
    """The id of the recipient `offset` places after the first one of a submit.

    The sequence part counts in decimal; where it has no digits, as the number that it is.
    """
    if not offset:
        return first
    head, tail = first[:-_SEQUENCE_OCTETS], first[-_SEQUENCE_OCTETS:]
    if tail.hex().isdecimal():
        return head + bytes.fromhex(f"{(int(tail.hex()) + offset) % SEQUENCES:06d}")
    number = int.from_bytes(tail, "big") + offset
    return head + (number % (1 << 8 * _SEQUENCE_OCTETS)).to_bytes(_SEQUENCE_OCTETS, "big")
