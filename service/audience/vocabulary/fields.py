"""The fields of a person: one table for all that name them.

The recognition of headers, the reader of rows, the staging table and its merge, a person's page,
the members of the API, the rule language and the lists in docs/importing.md and docs/segments.md
are made from `PERSON_FIELDS`. How to add a field: docs/adding-a-person-field.md.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from service.audience.vocabulary.texts import LONGEST_TAG, MOST_TAGS


class Kind(Enum):
    """How the values of a field are read in rules."""

    CODE = auto()  # one word of a closed list
    TEXT = auto()  # any text
    AGE = auto()  # whole years; has an order
    DAYS = auto()  # whole days; has an order
    RUN = auto()  # the id of a run


@dataclass(frozen=True, slots=True)
class RuleWords:
    """How rules ask for a field.

    name, chinese: what it is called in rules. compared: SQL over `links` of the text that is
    compared, in the form of `segment_words.fold`; "": the compiler has a condition of its own.
    """

    name: str
    chinese: str
    kind: Kind
    compared: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonField:
    """A column of a contact file, and what becomes of it.

    code: its name in `columns` of an import, in the API and in the digest of an entry.
    headers: what files call it, in the form of `header.header_form`; a tuple by rank, for of two
    columns the one with the better header is read.
    means: what it says, for the list of columns.
    is_text: it is free text, which is read, stored and shown as this table says. Of any other field
    the code knows what it means.
    longest: how many characters of free text are stored; None: any number.
    column: of `links`; "": nothing of its own is stored. sql_type: of that column. `text[]` of a
    free text: the tags in it are stored.
    encrypted: a cipher is stored, of the kind `code`.
    on_person: `contacts` has the column, too; it shows what the first entry of a live list says.
    is_original: it counts in the digest of an entry by its place. One that came later counts with
    its name, and only where it says something: so a row of an older list stays the entry it was.
    rule: how rules ask for it. shown: on a person's page, in full, or masked if encrypted.
    is_member: whether the API takes it.
    """

    code: str
    headers: tuple[str, ...]
    means: str
    is_text: bool = False
    longest: int | None = None
    column: str = ""
    sql_type: str = "text"
    encrypted: bool = False
    on_person: bool = False
    is_original: bool = False
    rule: RuleWords | None = None
    shown: bool = False
    is_member: bool = True


def _field(code: str, headers: str, means: str, **more: Any) -> PersonField:
    return PersonField(code=code, headers=(headers,), means=means, **more)


def _text(code: str, headers: str, means: str, *, chinese: str = "", **more: Any) -> PersonField:
    """A free text; `chinese`: its name in rules, "" if they do not ask for it."""
    rule = RuleWords(code, chinese, Kind.TEXT, f"folded({code})") if chinese else None
    given: dict[str, Any] = {"is_text": True, "column": code, "rule": rule} | more
    return _field(code, headers, means, **given)


def _kept_folded(code: str, chinese: str) -> RuleWords:
    """A text of which `links` has the folded form in a column, since large counties ask for it."""
    return RuleWords(code, chinese, Kind.TEXT, f"{code}_folded")


PERSON_FIELDS = (
    PersonField(
        code="phone",
        headers=(
            """家长手机号码 家长手机号 家长手机 家长电话 家长联系电话
            监护人手机号 监护人手机 监护人电话 监护人联系电话""",
            """手机号码 手机号 手机 移动电话 手机电话 本人手机号 mobile mobilephone mobile_phone
            mobilenumber mobile_number cell cellphone msisdn""",
            """联系电话 联系方式 电话号码 电话 联系号码 号码 phone phonenumber phone_number tel
            telephone contact""",
        ),
        means="the mobile number, or several; a guardian's goes before one's own; it is kept with"
        " the person, encrypted",
    ),
    _field(
        "name",
        """姓名 名字 家长姓名 监护人姓名 联系人 联系人姓名 人员姓名
        name fullname full_name""",
        "the person's name",
        column="name_cipher",
        sql_type="bytea",
        encrypted=True,
        on_person=True,
    ),
    _field(
        "gender",
        "性别 gender sex",
        "男 or 女",
        column="gender",
        on_person=True,
        rule=RuleWords("gender", "性别", Kind.CODE),
    ),
    _field("age", "年龄 周岁 age", "in years; kept as `age_band`"),
    _field(
        "age_band",
        "年龄段 年龄组 age_band ageband agegroup age_group",
        "such as 41-59, where no age is given",
        column="age_band",
        on_person=True,
        rule=RuleWords("age", "年龄", Kind.AGE),
    ),
    _field(
        "area",
        "区域 所在区域 area",
        "a name of any level (above the towns the full one: 旌德县) or a code; counts where"
        " 区划代码, 乡镇 and 村 say nothing; kept as `area_code`",
    ),
    _field(
        "area_code",
        "行政区划代码 区划代码 村居代码 地区代码 area_code areacode",
        "of 12, 9 or 6 digits",
        column="area_code",
        on_person=True,
        rule=RuleWords("area", "区域", Kind.TEXT),
    ),
    _field("town", "乡镇 所属乡镇 所在乡镇 镇 乡镇街道 town", "by its name; kept as `area_code`"),
    _field(
        "village",
        "村 社区 村社区 村居 行政村 所属村 所在村 village",
        "by its name; kept as `area_code`",
    ),
    _text(
        "group",
        "村民组 楼栋 村民组/楼栋 小组 网格 group",
        "within the village",
        column="household_group",
        is_original=True,
    ),
    _field(
        "roles",
        "角色 身份 人员类别 类别 岗位 roles role",
        "several separated by 、 `,` `;` `/` or spaces",
        column="roles",
        sql_type="text[]",
        rule=RuleWords("role", "身份", Kind.CODE),
        shown=True,
    ),
    _text(
        "org",
        "单位 单位名称 工作单位 所在单位 企业名称 org organisation organization company",
        "the employer",
        rule=_kept_folded("org", "单位"),
        shown=True,
        is_original=True,
    ),
    _text("org_type", "单位类型 单位性质 org_type orgtype", "of the employer", is_original=True),
    _text(
        "school",
        "学校 学校名称 school",
        "of the person or the child",
        rule=_kept_folded("school", "学校"),
        shown=True,
        is_original=True,
    ),
    _text(
        "grade",
        "年级 grade",
        "as the school writes it",
        rule=_kept_folded("grade", "年级"),
        shown=True,
        is_original=True,
    ),
    _text(
        "class",
        "班级 class",
        "as the school writes it",
        rule=_kept_folded("class", "班级"),
        shown=True,
        is_original=True,
    ),
    _text(
        "college",
        "学院 二级学院 所在学院 院系 college",
        "of a university",
        chinese="学院",
        shown=True,
    ),
    _text(
        "office",
        "科室 处室 股室 所在科室 office",
        "of a bureau or a firm",
        chinese="科室",
        shown=True,
    ),
    _text(
        "tags",
        "标签 人员标签 tags tag",
        f"several separated by 、 `,` or `;`; at most {MOST_TAGS} of {LONGEST_TAG} characters,"
        " others warn `tag_refused`",
        sql_type="text[]",
        rule=RuleWords("tag", "标签", Kind.TEXT),
        shown=True,
    ),
    _text(
        "guardian_of",
        "学生姓名 孩子姓名 子女姓名 监护对象 guardian_of",
        "the child whose guardian the person is",
        column="guardian_of_cipher",
        sql_type="bytea",
        encrypted=True,
        shown=True,
        is_original=True,
    ),
    _text(
        "wechat",
        "微信号 微信号码 微信账号 微信id wechat wechat_id wechatid weixin",
        "the WeChat ID, or the mobile number that stands for it; of liaisons, counsellors, class"
        " monitors and owners of groups alone: other rows with one are rejected",
        column="wechat_cipher",
        sql_type="bytea",
        encrypted=True,
        shown=True,
    ),
    _field(
        "carrier",
        "运营商 carrier",
        "of the number",
        column="carrier",
        rule=RuleWords("carrier", "运营商", Kind.CODE),
    ),
    _text(
        "consent_basis",
        "处理依据 同意依据 consent_basis",
        "what the consent rests on",
        shown=True,
        is_original=True,
    ),
    _text(
        "source_dept", "来源单位 填报单位 数据来源 source_dept", "who reported it", is_original=True
    ),
    _text(
        "valid_until",
        "有效期至 有效期 valid_until",
        "the last day of this row; a text that is no day holds as long as the list",
        is_original=True,
    ),
    _text(
        "note",
        "备注 说明 note remark remarks",
        "any remark",
        column="note_cipher",
        sql_type="bytea",
        encrypted=True,
        is_original=True,
    ),
    _field(
        "synthetic",
        "虚构 虚构数据 synthetic",
        "whether the row is made up, in files of tests",
        column="synthetic",
        sql_type="boolean",
        is_member=False,
    ),
)
"""In the order in which they are shown; original texts also count in it in the digest of an entry,
so their order never changes.
"""

TEXT_FIELDS = tuple(field for field in PERSON_FIELDS if field.is_text)
"""The free texts, in the order of `model.Link.texts`."""

TEXT_AT = {field.code: at for at, field in enumerate(TEXT_FIELDS)}
"""The place of each free text in `TEXT_FIELDS`."""

TAGS_AT = tuple(at for at, field in enumerate(TEXT_FIELDS) if field.sql_type == "text[]")
"""The places of the texts of which the tags are stored."""

RULES_OF_FIELDS = {field.rule.name: field.rule for field in PERSON_FIELDS if field.rule}
"""How rules ask for the fields, by their names in rules."""

RULE_TEXTS = {rule.name: rule for field in TEXT_FIELDS if (rule := field.rule) and rule.compared}
"""Free texts of which rules compare the whole, by their names in rules."""

PERSON_COLUMNS = tuple(field.column for field in PERSON_FIELDS if field.on_person)
"""Columns that `links` and `contacts` share. A person's carrier is no such column: it is the
number's.
"""

SHOWN_FIELDS = tuple(field for field in PERSON_FIELDS if field.shown)
"""What of an entry a person's page shows."""
