"""What can go wrong, as exceptions; each says in a sentence what, and what to do.

TocsinError
├── Refused              the service answered no: `code` is stable, `fields` says what to mend
│   ├── Unauthorized     401: no valid key
│   ├── Forbidden        403: the right is missing, or a second person is needed
│   ├── NotFound         404: nothing there, or not yours
│   ├── Conflict         409: the present state does not allow it
│   ├── Stale            412: somebody has changed it since you saw it
│   ├── Invalid          422: a field is wrong
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


class NotFound(Refused):
    """There is no such thing, or it is not yours."""


class Conflict(Refused):
    """The present state does not allow it."""


class Stale(Refused):
    """Somebody has changed it since you saw it."""


class Invalid(Refused):
    """A field is wrong."""


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
