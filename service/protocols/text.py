"""The text fields of the Chinese protocols: fixed in width, filled with zero octets (pure).

Strict in what is written, lenient in what is read.
"""


def read_text(octets: bytes) -> str:
    """A text field: up to the first zero octet, trailing spaces off."""
    end = octets.find(b"\x00")
    if end == 0:
        return ""
    return (octets if end < 0 else octets[:end]).decode("latin-1").rstrip(" ")


def write_text(value: str, octets: int) -> bytes:
    """A text field, filled with zero octets.

    Raises:
        ValueError: the value is not ASCII or does not fit.
    """
    data = value.encode("ascii")
    if len(data) > octets:
        raise ValueError(f"{len(data)} characters do not fit a field of {octets}")
    return data.ljust(octets, b"\x00")
