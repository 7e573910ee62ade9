"""When a channel logs in again after a link was lost or refused (pure).

There is one delay a channel, over all its connections and all processes: it doubles with each turn
in which no link came to work, up to half a minute, and begins anew once a link has worked. A link
has worked when the carrier was still heard on it ten seconds after the login: with heartbeats every
ten seconds or a submit to answer, one that serves is. The login's own answer proves nothing, nor
does an answer in the next moment: a carrier that cuts each link after a window would be logged in
to twice a second, and leave a window of uncertain texts each time. Where the login is refused, it
needs a person, and the next try comes after a minute.
"""

import random
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from service.channels.contract.gateway import Gateway, GatewayError, LoginRefused, Unparseable

FIRST_SECONDS, MOST_SECONDS = 0.5, 30.0
REFUSED_SECONDS = 60.0
WORKED_SECONDS = 10.0

CALM = timedelta(hours=1)
"""Losses are counted together while they come within this time of one another."""

EndingKind = Literal["lost", "closed", "refused", "unparseable", "unreachable"]


@dataclass(frozen=True, slots=True)
class Ending:
    """How a login or a link ended.

    how: lost: it had worked; closed: the login was accepted, and the link ended before it worked;
    the others: there was no login. why: in plain words. lived: seconds since the login.
    retryable: whether trying again by itself makes sense.
    """

    how: EndingKind
    why: str
    lived: float = 0.0
    retryable: bool = True

    @property
    def sentence(self) -> str:
        """What a connection's note says."""
        if self.how == "lost":
            return f"the connection was lost: {self.why}"
        if self.how == "closed":
            return (
                f"the login was accepted, the connection ended {self.lived:.1f} s after: {self.why}"
            )
        return self.why


def failed(error: GatewayError) -> Ending:
    """A login that did not come about."""
    kinds: tuple[tuple[type[GatewayError], EndingKind], ...] = (
        (LoginRefused, "refused"),
        (Unparseable, "unparseable"),
    )
    others: EndingKind = "unreachable"
    how = next((how for kind, how in kinds if isinstance(error, kind)), others)
    return Ending(how, error.message, retryable=error.retryable)


def has_worked(gateway: Gateway, lived: float) -> bool:
    """Whether a link that was logged in `lived` seconds ago has worked, or is only in no use."""
    heard = lived if gateway.rested else gateway.heard_seconds
    return min(lived, heard) >= WORKED_SECONDS


def ended(gateway: Gateway, lived: float) -> Ending:
    """A link that is gone, `lived` seconds after the login."""
    why = gateway.ended or "nobody knows why"
    return Ending("lost" if has_worked(gateway, lived) else "closed", why, lived)


def delay(failures: int, *, retryable: bool = True) -> float:
    """Seconds until the next login after so many turns in a row without a link that worked."""
    if not retryable:
        return REFUSED_SECONDS
    grown: float = min(MOST_SECONDS, FIRST_SECONDS * 2 ** min(failures - 1, 20))
    return grown


def jittered(seconds: float) -> float:
    """A little less, each time another, so that not all systems come at one moment."""
    return seconds * random.uniform(0.7, 1.0)  # noqa: S311  # nothing secret
