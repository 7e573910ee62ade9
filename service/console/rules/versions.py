"""What was set one after the other: each version with what it changed of the one before."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from service.api.http.schema import Page
from service.console.asking import Desk
from service.console.names import names_of

VersionLines = Callable[[Desk, Mapping[str, Any]], Iterable[tuple[str, str]]]
"""What a version says, line by line: each with its label."""


@dataclass(frozen=True, slots=True)
class ChangedLine:
    """A line that a version changed. before, after: what it said; "": the line was not there."""

    label: str
    before: str
    after: str


@dataclass(slots=True, kw_only=True)
class SetVersion:
    """What was set at one time, by whom and why. by: None: on the machine itself. second: who
    confirmed it, if it took a second person. lines: what it says, by label. differences: the lines
    that are not as in the version before, which is the next older one.
    """

    at: datetime
    by: UUID | None
    reason: str
    lines: Mapping[str, str]
    second: UUID | None = None
    differences: list[ChangedLine] = field(default_factory=list)


def with_differences(versions: Iterable[SetVersion]) -> list[SetVersion]:
    """Versions from new to old, each with its differences from the one after it in this order.

    The oldest of them is compared with nothing: all of its lines are new.
    """
    found = list(versions)
    older = [version.lines for version in found[1:]]
    for version, before in zip(found, [*older, {}], strict=False):
        labels = dict.fromkeys((*before, *version.lines))
        version.differences = [
            ChangedLine(label, before.get(label, ""), version.lines.get(label, ""))
            for label in labels
            if before.get(label, "") != version.lines.get(label, "")
        ]
    return found


def persons_of(versions: Iterable[SetVersion]) -> list[UUID | None]:
    """Everybody who set one or confirmed it."""
    return [person for version in versions for person in (version.by, version.second)]


async def read_versions(desk: Desk, page: Page[Any], lines: VersionLines) -> dict[str, object]:
    """A page of what was set for the county, as `rules/_versions.html` is told it."""
    versions = with_differences(
        SetVersion(
            at=one.set_at, by=one.set_by, reason=one.reason, lines=dict(lines(desk, one.body))
        )
        for one in page.items
    )
    return {
        "history": versions,
        "older": f"?cursor={page.next_cursor}" if page.next_cursor else "",
        "names": await names_of(desk, persons_of(versions)),
    }
