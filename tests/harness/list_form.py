"""A list as the table has it, for what looks at one without a database."""

from datetime import datetime
from uuid import UUID

from service.clock import CHINA
from service.delivery.list_files.list_file_store import ListFile

AT = datetime(2027, 1, 12, 9, 35, tzinfo=CHINA)
NOBODY = UUID(int=0)


def a_list(**more: object) -> ListFile:
    facts = {
        "id": NOBODY,
        "channel_id": 4,
        "channel": "移动名单",
        "carrier": "china_mobile",
        "state": "ready",
        "drawn_by": NOBODY,
        "drawn_at": AT,
        "ready_at": AT,
        "fetched_at": None,
        "fetched_by": None,
        "fetches": 0,
        "lines": 2,
        **more,
    }
    return ListFile(**facts)  # type: ignore[arg-type]  # as the table has them
