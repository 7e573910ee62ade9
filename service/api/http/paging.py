"""Cursor paging: an opaque cursor is the key of the last item of a page, so no page is counted."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar
from uuid import UUID

from pydantic import Field, StringConstraints

from service.api.http.schema import MAX_INT, Page, QueryString, Text
from service.errors import Invalid
from service.words.phrase import phrase

DEFAULT_LIMIT = 50
MAX_LIMIT = 500
MOST_IDS = 100
"""Things that one request may ask for by their ids: as many fit into an address."""
_ID = "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
IdList = Annotated[
    str, StringConstraints(pattern=f"^{_ID}(,{_ID})*$", max_length=MOST_IDS * 37 - 1)
]
"""Ids with commas between them."""

SomePage = TypeVar("SomePage", bound=Page[Any])


class PageQuery(QueryString):
    """Which part of a list."""

    cursor: Text | None = Field(default=None, description="The `next_cursor` of the page before.")
    limit: int = Field(default=DEFAULT_LIMIT, ge=1, le=MAX_LIMIT, description="Items on a page.")

    @property
    def text(self) -> str | None:
        """The key after which the page begins, as text.

        Raises:
            Invalid: the cursor was not made by us.
        """
        if self.cursor is None:
            return None
        try:
            return base64.urlsafe_b64decode(self.cursor.encode()).decode()
        except (ValueError, binascii.Error) as error:
            raise unknown_cursor() from error

    @property
    def before(self) -> UUID | None:
        """The id after which the page begins; raises as `text`."""
        text = self.text
        try:
            return None if text is None else UUID(text)
        except ValueError as error:
            raise unknown_cursor() from error

    @property
    def number(self) -> int:
        """The number after which the page begins, 0 at the beginning; raises as `text`."""
        text = self.text
        if text is None:
            return 0
        if not text.isdecimal() or int(text) > MAX_INT:
            raise unknown_cursor()
        return int(text)

    @property
    def wanted(self) -> int:
        """How many items to read: one more than shown tells whether there is a next page."""
        return self.limit + 1


def ids_of(listed: str | None) -> list[UUID] | None:
    """The ids of a list; None: there is no list, and all are asked for."""
    return None if listed is None else [UUID(one) for one in listed.split(",")]


def unknown_cursor() -> Invalid:
    """The refusal of a cursor that no page gave."""
    problem = phrase("give the next_cursor of a page as it was, or none")
    return Invalid(
        phrase("the cursor is not one of ours: {problem}", problem=problem),
        fields={"cursor": problem},
    )


def cut(
    page: type[SomePage],
    found: Sequence[Any],
    query: PageQuery,
    key: Callable[[Any], object] = lambda item: item.id,
) -> SomePage:
    """A page of what was read with `query.wanted`."""
    items = found[: query.limit]
    more = len(found) > query.limit
    cursor = base64.urlsafe_b64encode(str(key(items[-1])).encode()).decode() if more else None
    return page.model_validate({"items": items, "next_cursor": cursor})
