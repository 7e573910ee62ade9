"""Cursors: opaque, exact, and refused if they are not ours."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.http.paging import PageQuery, cut
from service.api.http.schema import Out, Page
from service.errors import Invalid


class Item(Out):
    """An item with an id."""

    id: UUID


def _query(cursor: str | None, limit: int = 2) -> PageQuery:
    return PageQuery(cursor=cursor, limit=limit)


@given(st.lists(st.uuids(), max_size=30, unique=True), st.integers(1, 7))
def test_pages_join_to_the_whole_list(ids: list[UUID], limit: int) -> None:
    ordered = sorted(ids, reverse=True)
    seen: list[UUID] = []
    cursor = None
    while True:
        query = _query(cursor, limit)
        before = query.before
        found = [{"id": i} for i in ordered if before is None or i < before][: query.wanted]
        page = cut(Page[Item], found, query, key=lambda item: item["id"])
        seen += [item.id for item in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == ordered


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40))
def test_a_cursor_of_anybody_else_is_refused(cursor: str) -> None:
    with pytest.raises(Invalid, match="cursor"):
        _ = _query(cursor).before


def test_a_number_begins_at_zero_and_fits() -> None:
    assert _query(None).number == 0
    for cursor in ("OTk5OTk5OTk5OTk5", "LTE=", "eA=="):  # 999999999999, -1, x
        with pytest.raises(Invalid):
            _ = _query(cursor).number
