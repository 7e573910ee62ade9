"""What may stand in the text of a relay, and what stands there for somebody in the tree (pure)."""

from collections.abc import Sequence
from datetime import datetime

from service.clock import CHINA
from service.messages.template import MAX_VALUE

NAME, GROUP, DAY, HOUR = "姓名", "群名", "日期", "时间"
VARIABLES = (NAME, GROUP, DAY, HOUR)
"""Who reads it, the groups of an owner or those below somebody, and until when."""
SAMPLE = {NAME: "欧阳建国", GROUP: "新桥小区3幢群", DAY: "1月17日", HOUR: "20:00"}
NAMED = 2
"""So many groups are named; of more it is said how many there are."""
_INSTEAD = {NAME: "同志", GROUP: "所属各群"}


def values_of(
    name: str, groups: Sequence[str], group_count: int, due_at: datetime
) -> dict[str, str]:
    """The values of somebody's text. groups: the names of the first `NAMED` of so many groups."""
    local = due_at.astimezone(CHINA)
    return {
        NAME: name[:MAX_VALUE] or _INSTEAD[NAME],
        GROUP: _groups(groups, group_count),
        DAY: f"{local.month}月{local.day}日",
        HOUR: f"{local:%H:%M}",
    }


def instead_of(group_count: int) -> dict[str, str]:
    """What stands in a text in the place of names that no text may have."""
    counted = {GROUP: f"{group_count}个群"} if group_count > 1 else {}
    return _INSTEAD | counted


def _groups(names: Sequence[str], count: int) -> str:
    """The groups by their names; how many there are if these are too many, or too long together.

    The word 群 stands once, as in 新桥3幢、北门5幢群: lint takes it for somebody to write to where
    words follow it.
    """
    if count == 1:
        return names[0][:MAX_VALUE]
    if count == NAMED == len(names):
        named = f"{names[0].removesuffix('群') or names[0]}、{names[1]}"
        if len(named) <= MAX_VALUE:
            return named
    return instead_of(count)[GROUP]
