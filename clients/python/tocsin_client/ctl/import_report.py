"""An import's report for a person: what became of the rows, of the people, and what to mend.

The codes are those of the import rules (§13); each has its words in both languages here.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from tocsin_client.ctl.screen import cell, say, word

Facts = Mapping[str, Any]
Words = Mapping[str, tuple[str, str]]

ERRORS: Words = {
    "empty_file": ("the file is empty", "文件是空的"),
    "unsupported_format": (
        "it is neither CSV nor XLSX (an old .xls, or with a password?)",
        "不是 CSV 或 XLSX（旧版 .xls 或加密文件？）",
    ),
    "encoding_undecidable": ("its encoding cannot be told", "无法识别文件编码"),
    "no_phone_column": ("no column is named as one of phone numbers", "没有手机号列"),
}
REJECTED: Words = {
    "phone_empty": ("no number", "没有号码"),
    "placeholder": ("a placeholder in place of a number", "号码处是占位符"),
    "excel_truncated": ("digits lost in Excel", "Excel 丢失位数"),
    "landline": ("a landline or service number", "固定电话或服务号码"),
    "length": ("a wrong number of digits", "位数不对"),
    "prefix": ("no mobile prefix", "不是手机号段"),
    "iot": ("a number for devices", "物联网号码"),
    "satellite": ("a satellite phone", "卫星电话"),
    "letters": ("letters in the number", "号码中有字母或文字"),
    "masked": ("a masked number", "号码已打码"),
    "foreign": ("a foreign number", "境外号码"),
    "minor": ("a child: give the guardian's number", "未满 14 岁，请填监护人号码"),
    "wechat_role": (
        "a WeChat ID that this role may not have: leave it out",
        "不是联络员、辅导员、班长或群主，不登记微信号",
    ),
    "wechat_invalid": ("no WeChat ID", "微信号格式不对"),
}
SKIPPED: Words = {
    "blank": ("blank rows", "空行"),
    "comment": ("comments", "注释"),
    "repeated_header": ("repeated headers", "重复表头"),
    "total": ("rows of totals", "合计行"),
}
FIXED: Words = {
    "fullwidth": ("full-width digits", "全角数字"),
    "country_code": ("country code cut", "去掉国家码"),
    "separators": ("separators cut", "去掉分隔符"),
    "text_prefix": ("labels and quotes cut", "去掉前缀文字"),
    "scientific": ("scientific notation", "科学计数法还原"),
    "number_format": ("number formats", "数字格式还原"),
    "two_numbers": ("two numbers in a cell", "一格两个号码"),
    "name_cleaned": ("names cleaned", "姓名整理"),
    "area_alias": ("short names of areas", "区划简称识别"),
}
WARNINGS: Words = {
    "part_rejected": ("one of two numbers refused", "两个号码中一个不可用"),
    "name_missing": ("no name", "缺姓名"),
    "name_refused": ("no name, but something else", "姓名列内容不是姓名"),
    "name_title": ("a title in the name", "姓名带职务"),
    "age_invalid": ("age not understood", "年龄无法识别"),
    "grade_unknown": ("grade not understood", "年级无法识别"),
    "gender_unknown": ("gender not understood", "性别无法识别"),
    "area_code_invalid": ("unknown area code", "区划代码不存在"),
    "area_unknown": ("unknown place", "地名无法识别"),
    "village_unknown": ("unknown village", "村居无法识别"),
    "role_unknown": ("unknown role", "身份无法识别"),
    "role_refused": ("role not held by this kind of department", "本类单位不登记的身份"),
    "carrier_unknown": ("unknown carrier", "运营商无法识别"),
    "cell_refused": ("a cell with an ID or card number left out", "含证件或银行卡号的单元格未导入"),
    "csv_injection": ("cells that look like formulas", "疑似公式的单元格"),
    "text_too_long": ("a text that is too long left out", "过长的内容未导入"),
    "tag_refused": ("tags too long or too many", "标签过长或过多"),
}
REFUSED_KINDS: Words = {
    "id_number": ("identity cards", "证件号"),
    "bank_account": ("bank accounts", "银行账号"),
    "marital_status": ("marital status", "婚姻状况"),
    "health": ("health", "健康状况"),
    "income": ("income", "收入"),
    "religion": ("religion", "宗教"),
    "ethnicity": ("ethnicity", "民族"),
    "home_address": ("home addresses", "住址"),
    "welfare_status": ("welfare", "低保等"),
    "child_phone": ("children's numbers", "学生手机号"),
    "biometric": ("pictures", "人脸照片"),
}
STATES: Words = {
    "reading": ("being read", "读取中"),
    "done": ("read", "已完成"),
    "failed": ("failed: nothing is stored", "失败：未存入任何人"),
}


def lines_of(found: Facts) -> Iterator[str]:
    """An import, line by line."""
    report = found["report"]
    state = say(*STATES.get(found["state"], (found["state"],) * 2))
    name = found["file_name"] or say("(members)", "（接口成员）")
    yield f"{cell(name)} → {cell(found['roster'])}  [{state}]  {found['id']}"
    if found["dry_run"]:
        yield say("A dry run: nobody is stored.", "仅试读：未存入任何人。")
    if report is None:
        yield say(f"{found['rows_read']} rows read so far", f"已读取 {found['rows_read']} 行")
    elif "error" in report:
        why = say(*ERRORS.get(report["error"], (report["error"],) * 2))
        yield _line("cannot be read", "无法读取", f"{why}（{report['error']}）")
        if report.get("message"):
            yield f"  {cell(report['message'])}"
        if report["error"] == "no_phone_column":
            yield say(
                "  Say which it is: tocsin ctl imports add … --column phone=HEADER",
                "  指定手机号列：tocsin ctl imports add … --column phone=表头",
            )
    else:
        yield from _report(report, found.get("area_names") or {}, found["id"])


def rejected(code: str) -> str:
    """Why a row was rejected, in words; a code that is not known, as it is."""
    return say(*REJECTED.get(code, (code, code)))


def _report(report: Facts, areas: Mapping[str, str], made: str) -> Iterator[str]:
    rows, taken, people = report["rows"], report["accepted"], report["recipients"]
    yield say(
        f"Rows {rows['read']}: accepted {rows['accepted']} (new {taken['new']}, merged"
        f" {taken['merged']}), rejected {rows['rejected']}, duplicate {rows['duplicate']},"
        f" skipped {rows['skipped']}",
        f"共 {rows['read']} 行：接受 {rows['accepted']}（新增 {taken['new']}，合并"
        f" {taken['merged']}），拒绝 {rows['rejected']}，重复 {rows['duplicate']}，"
        f"跳过 {rows['skipped']}",
    )
    yield say(
        f"People {people['total']}: opted out {people['suppressed']}, 14 to 17 years old"
        f" {people['minors_14_17']}, ported {people['ported']}",
        f"共 {people['total']} 人：已停发 {people['suppressed']}，14–17 岁"
        f" {people['minors_14_17']}，携号转网 {people['ported']}",
    )
    for english, chinese, counts, words in (
        ("rejected", "拒绝", report["rejected"], REJECTED),
        ("skipped", "跳过", report["skipped"], SKIPPED),
        ("warnings", "警告", report["warnings"], WARNINGS),
        ("mended", "自动更正", report["fixed"], FIXED),
        ("by town", "按乡镇", people["by_town"], _named(areas)),
        ("by role", "按身份", people["by_role"], {}),
        ("by carrier", "按运营商", people["by_carrier"], {}),
    ):
        if counts:
            yield _line(english, chinese, _counted(counts, words))
    yield from _tables(report)
    if members := (report.get("stored") or {}).get("members"):
        changes = say(
            f"added {members['added']}, changed {members['changed']}, left {members['left']}",
            f"新增 {members['added']}，变更 {members['changed']}，退出 {members['left']}",
        )
        yield _line("the list", "名单变化", changes)
    if rows["rejected"]:
        yield say(
            f"  Each rejected row with its reason: tocsin ctl imports rejects {made}",
            f"  逐行查看拒绝原因：tocsin ctl imports rejects {made}",
        )


def _tables(report: Facts) -> Iterator[str]:
    for table in report["tables"]:
        sheet = f"{table['sheet']} " if table["sheet"] else ""
        for column in table["refused"]:
            kind = say(*REFUSED_KINDS.get(column["kind"], (column["kind"],) * 2))
            told = say(
                f"{column['header']} ({kind}), {column['non_empty']} cells",
                f"{column['header']}（{kind}），{column['non_empty']} 格",
            )
            yield _line("column never stored", "敏感列未导入", f"{sheet}{told}")
        if table["ignored"]:
            ignored = f"{sheet}{cell(table['ignored'])}"
            yield _line("columns not understood, left out", "未识别的列，未导入", ignored)
    for skipped in report["tables_skipped"]:
        yield _line("sheet left out", "未读的工作表", f"{skipped['sheet']} {skipped['reason']}")


def _named(areas: Mapping[str, str]) -> Words:
    return {code: (name, name) for code, name in areas.items()}


def _counted(counts: Mapping[str, int], words: Words) -> str:
    """Counts from high to low, each in words."""
    known = {**words, "none": ("none", "无"), "unknown": ("unknown", "未知")}
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return say(", ", "，").join(
        f"{say(*known.get(code, (code, word(code))))} {count}" for code, count in ordered
    )


def _line(english: str, chinese: str, value: object) -> str:
    return f"  {say(f'{english}: ', f'{chinese}：')}{cell(value)}"
