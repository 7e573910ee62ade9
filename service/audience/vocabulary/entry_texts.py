"""The texts that one row says of a person: header words, column, and place in the rule language.

One table for the header of a file, the reader of rows, the API's members and the rule language. The
temporary table of an import, `links` and the link itself name the columns again; tests hold them
together.
"""

from typing import NamedTuple


class EntryText(NamedTuple):
    """A text of an entry.

    headers: what files call it, in the form of `header.header_form`. chinese: its name in rules;
    "": rules do not ask for it. compared: the SQL of what rules compare in `links`, which is the
    text as `segment_words.fold` has it; those of a large county are kept folded.
    """

    column: str
    headers: str
    chinese: str = ""
    compared: str = ""


ENTRY_TEXTS = (
    EntryText("group", "村民组 楼栋 村民组/楼栋 小组 网格 group"),
    EntryText(
        "org",
        "单位 单位名称 工作单位 所在单位 企业名称 org organisation organization company",
        "单位",
        "org_folded",
    ),
    EntryText("org_type", "单位类型 单位性质 org_type orgtype"),
    EntryText("school", "学校 学校名称 school", "学校", "school_folded"),
    EntryText("grade", "年级 grade", "年级", "grade_folded"),
    EntryText("class", "班级 class", "班级", "class_folded"),
    EntryText("guardian_of", "学生姓名 孩子姓名 子女姓名 监护对象 guardian_of"),
    EntryText("consent_basis", "处理依据 同意依据 consent_basis"),
    EntryText("source_dept", "来源单位 填报单位 数据来源 source_dept"),
    EntryText("valid_until", "有效期至 有效期 valid_until"),
    EntryText("note", "备注 说明 note remark remarks"),
    EntryText("college", "学院 二级学院 所在学院 院系 college", "学院", "folded(college)"),
    EntryText("office", "科室 处室 股室 所在科室 office", "科室", "folded(office)"),
    EntryText("tags", "标签 人员标签 tags tag"),
)
"""In the order of the last fields of `model.Link`; a new one comes last."""

TEXT_COLUMNS = tuple(text.column for text in ENTRY_TEXTS)
RULE_TEXTS = {text.column: text for text in ENTRY_TEXTS if text.chinese}
"""Those that a rule may ask for."""
