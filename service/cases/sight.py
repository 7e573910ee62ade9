"""Who may see which of the exact figures; what the public may see is `cases.tables`.

The county, the police and inspectors see all, to the village, with losses. A town sees the cases of
all towns, of its own villages, and its own loss as a town; the county may open the villages of
others to it. Anybody else sees the cases of the county and of towns, and those of the county by
kind. No two of these are crossed below the county.
"""

from typing import NamedTuple

from service.accounts.departments.department_store import get_department
from service.accounts.people.model import User
from service.audience.areas.area import AreaTree
from service.cases.settings_store import read_settings
from service.cases.tables import CaseSight, sight_of
from service.errors import Forbidden
from service.storage.postgres import Connection
from service.words.phrase import phrase


class CaseView(NamedTuple):
    """What somebody sees. town: the own one, of a town's user."""

    sight: CaseSight
    town: str | None
    all_villages: bool

    def check(self, by: str, area: str | None, level: str | None, *, of_kinds: bool) -> None:
        """Refuse a question whose answer is for others.

        by: what is added up; area, level: of the place asked for; of_kinds: some kinds alone.

        Raises:
            Forbidden: says who sees it.
        """
        if self.sight is CaseSight.ALL:
            return
        if (by == "type" or of_kinds) and (area is not None or by in {"town", "village"}):
            raise Forbidden(
                phrase(
                    "kinds of fraud are shown for the whole county; the police see them by place"
                )
            )
        if by == "village" or level in {"village", "community"}:
            self._check_village(area)

    def _check_village(self, area: str | None) -> None:
        if self.sight is CaseSight.TOWN and (
            self.all_villages or area is None or self.is_own(area)
        ):
            return
        raise Forbidden(
            phrase("the figures of villages are for their own town, the police and the county")
        )

    def is_own(self, area: str) -> bool:
        """Whether an area is the own town or lies in it; codes are those of the State."""
        return self.town is not None and area[:9] == self.town[:9]

    def lists(self, village: str) -> bool:
        """Whether a village stands in a list of villages."""
        return self.sight is CaseSight.ALL or self.all_villages or self.is_own(village)

    def shows_loss(self, town: str | None) -> bool:
        """Whether the loss is shown. town: where the figure is that of a whole town; else None."""
        return self.sight is CaseSight.ALL or (town is not None and town == self.town)


def look_at(user: User) -> CaseSight:
    """What a user sees by the kind of the department and the own role."""
    return sight_of(user.department_kind, sees_all=user.sees_all)


async def look(conn: Connection, user: User, tree: AreaTree) -> CaseView:
    """What a user sees of the exact figures."""
    sight = look_at(user)
    if sight is not CaseSight.TOWN:
        return CaseView(sight, None, False)
    department = await get_department(conn, user.department_id, None)
    own = tree.areas.get(department.settings.area_code or "")
    town = tree.town_of(own.code) if own else ""
    if not town or tree.areas[town].level != "town":
        return CaseView(CaseSight.TOTALS, None, False)
    settings = await read_settings(conn)
    return CaseView(sight, town, settings.bulletin_villages == "all")
