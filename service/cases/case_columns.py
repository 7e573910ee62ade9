"""The columns of a file of case figures: what is read, and what of persons never is."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from service.audience.imports.entry_rows import EntryWords, columns_of
from service.audience.tables.header import Header
from service.audience.vocabulary.cells import text_form
from service.errors import FileRefused
from service.words.phrase import phrase

WAN = Decimal(10_000)
"""How many yuan 万元 are."""

_COLUMNS = {
    # `phone` is what tables call the column that has to be there.
    "phone": "周次 周 统计周 报送周 日期 发案日期 发案时间 立案日期 立案时间 报案日期 week date",
    "area_code": """行政区划代码 区划代码 村居代码 地区代码 区划编码 village_code town_code
        area_code areacode code""",
    "town": "乡镇 所属乡镇 所在乡镇 镇 乡镇街道 发案乡镇 town",
    "village": "村 社区 村社区 村居 行政村 所属村 所在村 发案村 village",
    "area": "区域 辖区 区划 发案区域 area",
    "fraud_type": """类型 诈骗类型 案件类型 案件类别 类别 案别 诈骗类别 手段 作案手段
        fraud_type type""",
    "cases": "起数 案件数 发案数 发案起数 案件起数 件数 cases count",
    "loss": """损失 损失金额 涉案金额 被骗金额 金额 案损 案损金额 损失数额 loss loss_yuan
        loss_amount amount""",
}
_PERSONS = {
    "victim": "受害人 受害者 被害人 事主 报案人 当事人 victim",
    "name": "姓名 名字 name",
    "phone_number": "电话 手机 号码 联系方式 微信 qq phone mobile tel",
    "id_number": "身份证 证件 id_card idcard",
    "bank_account": "账号 账户 帐号 银行卡 卡号 开户行 bank account",
    "home_address": "地址 住址 地点 address",
    "case_details": "案情 警情 简要 经过 案号 案件编号 details",
    "person": "性别 年龄 职业 民族 gender age occupation",
}
"""Parts of headers of what is known of persons; whatever else such a column is called."""


CASE_WORDS = EntryWords(_COLUMNS, _PERSONS)
"""The headers of files of cases."""


class CaseTable(NamedTuple):
    """A table of a file: its header in the form of a report, and the factor of its losses."""

    told: dict[str, Any]
    titles: Mapping[str, str]
    factor: Decimal
    one_case_a_row: bool


def table_of(sheet: str, header: Header) -> CaseTable:
    """A table by its header.

    Raises:
        FileRefused: it lacks a column that is needed.
    """
    named = columns_of(header, "week")
    wanted = {"fraud_type": "诈骗类型", "loss": "损失金额"}
    missing = [title for column, title in wanted.items() if column not in named]
    if not {"area_code", "town", "village", "area"} & {*named}:
        missing.append("乡镇")
    if missing:
        raise FileRefused(
            phrase("the table has no column {title}; add it", title=missing[0]),
            code="column_missing",
        )
    titles = {column: header.titles[at] for column, at in named.items()}
    in_wan = "万" in text_form(titles["loss"])
    told = {
        "sheet": sheet,
        "header_rows": list(header.rows),
        "mapped": titles,
        "refused": [{"header": c.title, "kind": c.kind} for c in header.refused],
        "ignored": header.ignored,
        "loss_unit": "wan" if in_wan else "yuan",
        "one_case_a_row": "cases" not in named,
    }
    return CaseTable(told, titles, WAN if in_wan else Decimal(1), "cases" not in named)
