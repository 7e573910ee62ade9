"""docs/architecture.md lists the rooms as they are, and no room is a hall."""

import pytest

from tests.architecture import map as house

MOST_MODULES = 18
"""A room with more wants to be two."""


def test_the_page_lists_the_rooms_as_they_are() -> None:
    page = house.PAGE.read_text("utf-8")
    begin, end = page.index(house.BEGIN), page.index(house.END) + len(house.END)
    assert page[begin:end] == house.listed(), "run python -m tests.architecture.map --write"


@pytest.mark.parametrize("room", list(house.rooms()), ids=lambda room: room.name)
def test_no_room_is_a_hall(room: house.Room) -> None:
    assert room.modules <= MOST_MODULES
    assert room.decides, "its __init__.py says what it decides"
