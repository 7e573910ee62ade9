"""What can go wrong, as exceptions; each says in a sentence what, and what to do.

TocsinError
├── Refused              the service answered no: `code` is stable, `fields` says what to mend
│   ├── Unauthorized     401: no valid key
│   ├── Forbidden        403: the right is missing
│   │   ├── NeedsCampaign       more people, or another class, than may be sent without one
│   │   ├── OutOfScope          the key leaves this out, not the user
│   │   └── SecondPersonNeeded  you had a hand in it
│   ├── NotFound         404: nothing there, or not yours
│   ├── Conflict         409: the present state does not allow it
│   │   ├── AnsweredOnce        it is done; its answer was for once, and lost
│   │   ├── HasLeft             it cannot be called back
│   │   └── WrongState          `detail` says which state it takes
│   ├── Stale            412: somebody has changed it since you saw it
│   ├── Invalid          422: a field is wrong
│   │   ├── NobodyAccepted      none of the recipients can be written to
│   │   └── RuleInvalid         `problem` has `position` and `suggestions`
│   ├── TextBlocked      409 or 422: lint blocks it; `problem["findings"]` or `fields` says why
│   └── TooManyRequests  429: still, after waiting as long as was allowed
├── Unavailable          no answer, or 502 to 504, after every try
├── ImportFailed         the file could not be read
└── InvalidSignature     a webhook's call is not from the service, or too old
"""

from collections.abc import Mapping
from typing import Any


class TocsinError(Exception):
    """Anything that this package raises on purpose."""


class Refused(TocsinError):
    """The service answered no.

    status: of HTTP. code: stable, for programs, e.g. `needs_campaign`. detail: the sentence.
    fields: what is wrong with each field. request_id: for whoever runs the service.
    problem: the whole answer, with what some errors say beyond that, such as `findings`.
    idempotency_key: under which the act may be tried again.
    retry_after: seconds that the service asked to wait; None: it did not say.
    """

    def __init__(
        self,
        status: int,
        problem: Mapping[str, Any],
        *,
        idempotency_key: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        self.status = status
        self.problem = problem
        self.code = str(problem.get("type", "")).rpartition("/")[2]
        self.detail = str(problem.get("detail", f"the service answered {status}"))
        self.fields: Mapping[str, str] = problem.get("fields") or {}
        self.request_id = str(problem.get("request_id", ""))
        self.idempotency_key = idempotency_key
        self.retry_after = retry_after
        lines = [f"{status} {self.code}: {self.detail}"]
        lines += [f"  {name}: {why}" for name, why in self.fields.items()]
        super().__init__("\n".join(lines))


class Unauthorized(Refused):
    """No valid key."""


class Forbidden(Refused):
    """The right is missing, or a second person is needed."""


class NeedsCampaign(Forbidden):
    """More people, or another class, than may be sent without a campaign."""


class OutOfScope(Forbidden):
    """The key's scopes, limits or mode leave this out."""


class SecondPersonNeeded(Forbidden):
    """You had a hand in it; somebody else must do this."""


class NotFound(Refused):
    """There is no such thing, or it is not yours."""


class Conflict(Refused):
    """The present state does not allow it."""


class AnsweredOnce(Conflict):
    """It was done under this key, and its answer, which shows a secret or a person, is not kept."""


class HasLeft(Conflict):
    """The text is on its way or has arrived; it cannot be called back."""


class WrongState(Conflict):
    """It is in a state that does not allow this."""


class Stale(Refused):
    """Somebody has changed it since you saw it."""


class Invalid(Refused):
    """A field is wrong."""


class NobodyAccepted(Invalid):
    """None of the recipients can be written to; `fields` says why of each."""


class RuleInvalid(Invalid):
    """The rule cannot be read; `problem["position"]` says where."""


class TextBlocked(Refused):
    """Lint blocks the text, or doubts it where nobody else would read it."""


class TooManyRequests(Refused):
    """More requests than the key or the department may send."""


REFUSALS: Mapping[int, type[Refused]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    412: Stale,
    422: Invalid,
    429: TooManyRequests,
}
"""What a refusal is by its status."""

BY_CODE: Mapping[str, type[Refused]] = {
    "answered_once": AnsweredOnce,
    "has_left": HasLeft,
    "needs_campaign": NeedsCampaign,
    "nobody_accepted": NobodyAccepted,
    "out_of_scope": OutOfScope,
    "second_person_needed": SecondPersonNeeded,
    "segment_rule": RuleInvalid,
    "text_blocked": TextBlocked,
    "wrong_state": WrongState,
}
"""What it is by its type, where a program may want to act upon that."""


def kind_of(status: int, code: str) -> type[Refused]:
    """The class of a refusal: that of its type if that has one, else that of its status."""
    return BY_CODE.get(code) or REFUSALS.get(status, Refused)


class Unavailable(TocsinError):
    """There was no answer, or only that the service cannot answer now.

    may_be_done: whether the act may have been done all the same; try it again under
    `idempotency_key`, and it is done once.
    """

    def __init__(
        self, message: str, *, may_be_done: bool, idempotency_key: str | None = None
    ) -> None:
        super().__init__(message)
        self.may_be_done = may_be_done
        self.idempotency_key = idempotency_key


class ImportFailed(TocsinError):
    """A file could not be read; `report` says why."""

    def __init__(self, import_id: str, report: Mapping[str, Any]) -> None:
        why = report.get("error") or report.get("message") or report
        super().__init__(f"the import {import_id} has failed: {why}")
        self.import_id = import_id
        self.report = report


class InvalidSignature(TocsinError):
    """A call is not from the service, was changed on its way, or is too old."""
