"""Mobile numbers as the Chinese protocols write them.

They are 11 digits, with or without 86, +86 or 0086 in front. Inside the application a number is
E.164 with a plus.
"""

import re

_MOBILE = re.compile(r"(?:\+86|0086|86)?(1[0-9]{10})")


def to_e164(text: str) -> str:
    """A mobile number in E.164 form; "" if it cannot be read as one."""
    match = _MOBILE.fullmatch(text)
    return f"+86{match[1]}" if match else ""


def to_national(number: str) -> str:
    """The 11 digits of a mobile number; other numbers only lose their plus."""
    match = _MOBILE.fullmatch(number)
    return match[1] if match else number.removeprefix("+")
