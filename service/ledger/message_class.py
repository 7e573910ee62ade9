"""The class of a message: what it is for, and so which rules hold for it.

A person may refuse publicity and work notices, and quiet days, send hours and caps hold for them; a
warning goes to everybody whom it concerns, at any hour.
"""

from typing import Final, Literal, get_args

MessageClass = Literal["public_interest", "service", "warning"]
RefusableClass = Literal["public_interest", "service"]
"""Every class but warnings."""

PUBLICITY: Final = "public_interest"
NOTICE: Final = "service"
WARNING: Final = "warning"

CLASSES: tuple[MessageClass, ...] = get_args(MessageClass)
REFUSABLE: tuple[RefusableClass, ...] = get_args(RefusableClass)
