"""The times of SMGP, all of them Beijing local times; China has had no summer time since 1991."""

from datetime import UTC, datetime
from functools import lru_cache

from service.protocols.times import BEIJING


def login_timestamp(now: datetime) -> int:
    """MMDDHHMMSS read as one decimal number."""
    return int(now.astimezone(BEIJING).strftime("%m%d%H%M%S"))


def write_second(at: datetime) -> str:
    """An instant as YYYYMMDDHHMMSS, as RecvTime has it."""
    return at.astimezone(BEIJING).strftime("%Y%m%d%H%M%S")


def write_minute(at: datetime) -> str:
    """An instant as YYMMDDhhmm, as reports have it."""
    return at.astimezone(BEIJING).strftime("%y%m%d%H%M")


@lru_cache(maxsize=1024)  # the reports of one minute say the same
def read_minute(text: str) -> datetime | None:
    """A YYMMDDhhmm time; longer ones are cut, what makes no sense is None."""
    digits = text[:10]
    if not (len(digits) == 10 and digits.isascii() and digits.isdecimal()):
        return None
    year, month, day, hour, minute = (int(digits[at : at + 2]) for at in range(0, 10, 2))
    try:
        local = datetime(2000 + year, month, day, hour, minute, tzinfo=BEIJING)
    except ValueError:
        return None
    return local.astimezone(UTC)


@lru_cache(maxsize=1024)  # all texts of a run have the same
def write_validity(until: datetime) -> str:
    """The absolute form of ValidTime, `YYMMDDhhmmss032+` with tenths: Beijing is 32 quarters."""
    return until.astimezone(BEIJING).strftime("%y%m%d%H%M%S") + "032+"
