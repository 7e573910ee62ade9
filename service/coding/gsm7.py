"""The GSM 7-bit default alphabet and its extension table: 3GPP TS 23.038 §6.2.1.

On the wire one septet takes one octet (unpacked), or eight septets seven octets (packed, §6.1.2).
A character of the extension table is two septets, escape and value, that belong together.
"""

ESCAPE = 0x1B

BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ"
    " !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""The character of each septet; the escape stands for itself and is never a character."""

EXTENSION = {
    0x0A: "\f", 0x14: "^", 0x28: "{", 0x29: "}", 0x2F: "\\",
    0x3C: "[", 0x3D: "~", 0x3E: "]", 0x40: "|", 0x65: "€",
}  # fmt: skip
"""The character of each septet after an escape."""

_OCTETS = {
    **{character: bytes((value,)) for value, character in enumerate(BASIC) if value != ESCAPE},
    **{character: bytes((ESCAPE, value)) for value, character in EXTENSION.items()},
}
_ALPHABET = frozenset(_OCTETS)
_UNSENDABLE = b"?"
_REPLACEMENT = "\ufffd"


def fits(text: str) -> bool:
    """Whether every character of the text is in the alphabet or its extension."""
    return _ALPHABET.issuperset(text)


def encode(text: str) -> bytes:
    """The septets of a text, one an octet; what the alphabet lacks travels as a question mark."""
    return b"".join([_OCTETS.get(character, _UNSENDABLE) for character in text])


def decode(octets: bytes) -> str:
    """The text of septets, one an octet; never an error.

    As TS 23.038 asks of a receiver: an unknown character of the extension is shown as the one in
    the same place of the basic table, an escape without a character as a space. An octet above
    0x7F is no septet and becomes U+FFFD.
    """
    if ESCAPE not in octets and octets.isascii():
        return octets.decode("ascii").translate(_BASIC)
    text = []
    escaped = False
    for octet in octets:
        if octet > 0x7F:
            text.append(_REPLACEMENT)
        elif octet == ESCAPE:
            if escaped:
                text.append(" ")
            escaped = not escaped
            continue
        else:
            text.append(EXTENSION.get(octet, BASIC[octet]) if escaped else BASIC[octet])
        escaped = False
    if escaped:
        text.append(" ")
    return "".join(text)


def pack(septets: bytes, *, fill_bits: int = 0) -> bytes:
    """Eight septets in seven octets, least significant bit first.

    fill_bits: zero bits before the first septet, so that it begins on a septet boundary after a
    user data header (TS 23.040 §9.2.3.24). A last octet with room for a whole septet is filled
    with a carriage return, which no handset shows, so that it is not read as one more `@`.
    """
    if (len(septets) * 7 + fill_bits) % 8 == 1:
        septets += b"\r"
    bits = 0
    for place, septet in enumerate(septets):
        bits |= septet << (7 * place)
    length = (len(septets) * 7 + fill_bits + 7) // 8
    return (bits << fill_bits).to_bytes(length, "little")


def unpack(octets: bytes, *, fill_bits: int = 0) -> bytes:
    """The septets of packed octets, one an octet.

    How many there are is not in the octets, so a last septet that only filled them up (zero, or
    the carriage return of `pack`) is taken off.
    """
    count = (len(octets) * 8 - fill_bits) // 7
    bits = int.from_bytes(octets, "little") >> fill_bits
    septets = bytes([bits >> (7 * place) & 0x7F for place in range(count)])
    if (len(octets) * 8 - fill_bits) % 7 == 0 and septets[-1:] in {b"\x00", b"\r"}:
        return septets[:-1]
    return septets


_BASIC = {value: character for value, character in enumerate(BASIC) if value != ESCAPE}


def fill_bits(header_octets: int) -> int:
    """The zero bits between a user data header of that many octets and the first septet."""
    return -header_octets * 8 % 7
