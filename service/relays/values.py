"""What may stand in the text of a relay, and what stands there for somebody in the tree (pure)."""

from datetime import datetime

from service.clock import CHINA
from service.messages.template import MAX_VALUE

NAME, GROUP, DAY, HOUR = "姓名", "群名", "日期", "时间"
VARIABLES = (NAME, GROUP, DAY, HOUR)
"""Who reads it, the groups of an owner or those below somebody, and until when."""
SAMPLE = {NAME: "欧阳建国", GROUP: "新桥小区3幢群", DAY: "1月17日", HOUR: "20:00"}
INSTEAD = {NAME: "同志", GROUP: "所属各群"}
"""What stands in a text in the place of a name that no text may have."""


def values_of(name: str, group: str, group_count: int, due_at: datetime) -> dict[str, str]:
    """The values of somebody's text. group: the name of the first of so many groups."""
    local = due_at.astimezone(CHINA)
    return {
        NAME: name[:MAX_VALUE] or INSTEAD[NAME],
        GROUP: _groups(group, group_count),
        DAY: f"{local.month}月{local.day}日",
        HOUR: f"{local:%H:%M}",
    }


def _groups(name: str, count: int) -> str:
    """The only group, or how many there are: lint takes a list of names for no name."""
    if count == 0:
        return INSTEAD[GROUP]
    return name[:MAX_VALUE] if count == 1 else f"{count}个群"
