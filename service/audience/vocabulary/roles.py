"""The roles that a list may give a person: their words, their titles, and who may hold them.

One table for all that name a role: the reader of lists, the rule language, the API, reports and
pages. Roles are only added, at the end: their order counts in the digest of an entry.

What the plans name and no list may say: who is divorced, poor, on relief, about to marry, or a
patient. Whoever keeps such a list brings it without a role, and the text does not tell it either.
"""

from collections.abc import Mapping
from typing import NamedTuple

from service.accounts.departments.department import COUNTY, POLICE


class KnownRole(NamedTuple):
    """A role of people on lists.

    words: what lists write for it, beside its key; the lower-case form of each, without a space.
    title, english: what it is called where people read it.
    holders: the kinds of department that may hold it; None: any.
    told: whether a text may call its reader so. Of a role that is held against somebody it may not.
    """

    key: str
    words: str
    title: str
    english: str
    holders: frozenset[str] | None = None
    told: bool = True


_GENERAL = (COUNTY, "town", "department")
"""The county's office, towns, and bureaus without a kind of their own, such as that of health."""


def _held_by(*kinds: str) -> frozenset[str]:
    return frozenset({*_GENERAL, *kinds})


KNOWN_ROLES = (
    KnownRole("resident", "群众 居民 村民", "群众", "residents"),
    KnownRole("finance", "财务 财务人员 会计 出纳", "财务人员", "finance staff"),
    KnownRole("owner", "企业负责人 负责人 法人", "企业负责人", "heads of firms"),
    KnownRole("shop", "个体工商户 商户 店主", "个体工商户", "shopkeepers"),
    KnownRole("teacher", "教师 老师", "教师", "teachers"),
    KnownRole("student", "学生", "学生", "students"),
    KnownRole("parent", "家长 学生家长", "家长", "parents"),
    KnownRole("bank_staff", "银行从业人员 银行职员", "银行从业人员", "bank staff"),
    KnownRole("grid_worker", "网格员", "网格员", "grid workers"),
    KnownRole("village_staff", "村干部 村居干部 居委会工作人员", "村居干部", "village staff"),
    KnownRole("group_owner", "群主 群负责人", "群主", "owners of chat groups"),
    KnownRole("civil_servant", "干部职工 机关干部 公务员", "干部职工", "civil servants"),
    KnownRole("elderly", "老年人 老人", "老年人", "elderly people"),
    KnownRole("care_family", "养老院家属", "养老院家属", "families of people in care homes"),
    KnownRole("site_worker", "建筑工人 工地职工", "建筑工人", "construction workers"),
    KnownRole("driver", "司机 驾驶员", "司机", "drivers"),
    KnownRole("returnee", "返乡人员 返乡务工人员", "返乡人员", "returning migrants"),
    KnownRole("liaison", "联络员", "联络员", "liaison officers"),
    KnownRole("counsellor", "辅导员 高校辅导员 counselor", "辅导员", "counsellors"),
    KnownRole("class_monitor", "班长 学生班长", "班长", "class monitors"),
    KnownRole(
        "property_manager",
        "物业 物业人员 物业管理人员 小区物业",
        "物业人员",
        "property managers",
        _held_by(POLICE),
    ),
    KnownRole(
        "accompanying_parent",
        "陪读家长 陪读父母 陪读",
        "陪读家长",
        "parents who moved to their child's school",
        _held_by("education", "school"),
    ),
    KnownRole(
        "principal",
        "校长 园长 学校负责人",
        "校长",
        "heads of schools",
        _held_by("education", "school", "college"),
    ),
    KnownRole(
        "venue_staff",
        "娱乐场所 娱乐场所负责人 娱乐场所从业人员 娱乐场所人员",
        "娱乐场所人员",
        "staff of entertainment venues",
        _held_by(POLICE, "culture", "market_regulation"),
    ),
    KnownRole(
        "hotel_staff",
        "宾馆 酒店 宾馆酒店 宾馆酒店负责人 宾馆酒店人员 旅馆 民宿",
        "宾馆酒店人员",
        "staff of hotels",
        _held_by(POLICE, "culture", "market_regulation"),
    ),
    KnownRole(
        "store_staff",
        "商场 超市 集贸市场 门店 沿街门店 商场门店人员 营业员",
        "商场门店人员",
        "staff of stores and markets",
        _held_by(POLICE, "market_regulation"),
    ),
    KnownRole(
        "medical_staff",
        "医务人员 医护人员 医生 护士 药店人员",
        "医务人员",
        "medical staff",
        _held_by("market_regulation"),
    ),
    KnownRole(
        "care_home_staff",
        "养老院工作人员 养老机构人员 护工",
        "养老院工作人员",
        "staff of care homes",
        _held_by("civil_affairs"),
    ),
    KnownRole("client", "服务对象 客户 银行客户", "服务对象", "clients"),
    KnownRole("staff_family", "干部职工家属 职工家属 家属", "干部职工家属", "families of staff"),
    KnownRole("leader", "分管领导 单位领导 主要领导", "分管领导", "leaders in charge"),
    KnownRole(
        "visitor",
        "入户人员 入户宣传员 宣传员",
        "入户人员",
        "visitors of households",
        _held_by(POLICE),
    ),
    KnownRole(
        "police_officer",
        "民警 辅警 民警辅警 社区民警",
        "民警辅警",
        "police officers",
        frozenset({COUNTY, POLICE}),
    ),
    KnownRole(
        "joint_member",
        "联席会议成员 联席会议成员单位",
        "联席会议成员",
        "members of the joint conference",
        frozenset({COUNTY, POLICE}),
    ),
    KnownRole(
        "managed_person",
        "管理对象 重点管理对象",
        "管理对象",
        "people under supervision",
        frozenset({COUNTY, POLICE, "town"}),
        told=False,
    ),
)

ROLES: Mapping[str, str] = {role.key: role.words for role in KNOWN_ROLES}
"""Each role's key and the words that people write for it."""

ROLE_TITLES: Mapping[str, str] = {role.key: role.title for role in KNOWN_ROLES}
"""What each role is called where people read it."""

ROLES_IN_ENGLISH: Mapping[str, str] = {role.key: role.english for role in KNOWN_ROLES}
"""What each role is called in English, where Chinese has `ROLE_TITLES`."""

TOLD_ROLES: Mapping[str, str] = {role.key: role.title for role in KNOWN_ROLES if role.told}
"""The titles that may stand in a text."""

POST_ROLES = ("liaison", "leader", "teacher", "counsellor", "class_monitor", "principal")
"""Roles that are posts: one person of a unit or a class has it at a time."""

WECHAT_ROLES = frozenset({"liaison", "counsellor", "class_monitor", "group_owner"})
"""Who may be on a list with a WeChat ID: those of whom colleges and units hand in one, and
nobody else. The constraint `links_wechat_check` of the database names the same roles.
"""

_HOLDERS = {role.key: role.holders for role in KNOWN_ROLES if role.holders is not None}


def refused_roles(kind: str) -> frozenset[str]:
    """The roles that a department of this kind may not hold."""
    return frozenset(role for role in ROLES if not may_hold(kind, role))


def may_hold(kind: str, role: str) -> bool:
    """Whether a department of this kind may hold people of a role."""
    holders = _HOLDERS.get(role)
    return holders is None or kind in holders
