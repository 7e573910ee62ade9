"""Every error this application raises on purpose; none of them knows of HTTP.

TocsinError
├── Invalid            the input is wrong; says which field, what shape it had and the remedy
│   └── FileRefused    a whole file cannot be read; `code` is one of data/import-rules §13
├── NotFound           no such thing, or not yours to see
├── Forbidden          you may not do this; says which right is missing
├── Conflict           the thing's state does not allow this now
├── Unauthenticated    nobody known is asking, or what shows who it is is wrong
├── TooMany            more than a limit allows; says in how many seconds to try again
├── Misconfigured      a setting, key file, port or folder is unusable; says which and the remedy
│   └── Misfit         the database's tables are not those that this version works with
└── Unavailable        PostgreSQL, Redis or a gateway cannot be reached now; try again

`service/api/http/problems.py` maps them to status codes; gateways add their own under
`service/channels/contract/gateway.py`.
"""

from collections.abc import Mapping
from typing import Self


class TocsinError(Exception):
    """An error with a plain sentence for a person and a stable `code` for a program.

    The sentence is a `Phrase` (`service/words/phrase.py`), so that it exists in both languages.
    """

    code = "error"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code

    def details(self) -> Mapping[str, object]:
        """What a program may want to know beyond the sentence, by name."""
        return {}


class Invalid(TocsinError):
    """Bad input. `fields` maps a field's path to what is wrong with it and how to mend it."""

    code = "invalid"

    def __init__(
        self, message: str, *, fields: Mapping[str, str] | None = None, code: str | None = None
    ) -> None:
        super().__init__(message, code=code)
        self.fields = dict(fields or {})

    @classmethod
    def at(cls, field: str, problem: str, *, code: str | None = None) -> Self:
        """One field is wrong, and that is all there is to say."""
        return cls(problem, fields={field: problem}, code=code)

    def details(self) -> Mapping[str, object]:
        """`fields`, if there are any."""
        return {"fields": self.fields} if self.fields else {}


class FileRefused(Invalid):
    """A contact file that cannot be read at all; `code` is a file error of the import rules."""

    code = "file_refused"


class NotFound(TocsinError):
    """The thing named does not exist, or belongs to somebody else."""

    code = "not_found"


class Forbidden(TocsinError):
    """The caller is known but lacks the right."""

    code = "forbidden"


class Conflict(TocsinError):
    """The thing exists but its present state does not allow the act."""

    code = "conflict"


class Unauthenticated(TocsinError):
    """Nobody known is asking, or what shows who it is is wrong."""

    code = "unauthorized"


class TooMany(TocsinError):
    """More than a limit allows; `seconds` says when to try again."""

    code = "too_many"

    def __init__(self, message: str, seconds: int) -> None:
        super().__init__(message)
        self.seconds = seconds


class Misconfigured(TocsinError):
    """A setting, key file, port or folder is unusable."""

    code = "misconfigured"


class Misfit(Misconfigured):
    """The database lacks tables of this version, or has some that it cannot work beside."""

    code = "misfit"


class Unavailable(TocsinError):
    """Something we depend on cannot be reached at the moment."""

    code = "unavailable"
