"""What may be stored as a person's name: import rules §6; and what no name of a person or place is.

A name is mended where its typing is at fault, and refused where the cell holds something else: a
number, a link, an account, a request. Refusing the name never refuses the row. Names are read by
strangers in the middle of a text that a second person approved, and nobody approves each of them:
so the hand-off looks at them again (`is_name`).
"""

import re
from functools import lru_cache
from typing import NamedTuple
from unicodedata import category

from service.audience.vocabulary.cells import CJK, WHITE, is_blank, is_formula, squeeze, text_form

LONGEST = 20
_CACHED_NAMES = 16_384
_NO_NAME = frozenset({"测试", "test", "匿名"})
_TITLE_WORDS = "主任 书记 局长 经理 老师 会计 科长 镇长 村长 校长 院长 所长 站长 组长 老板"
_TITLES = tuple(_TITLE_WORDS.split())
_PLAIN = re.compile("[\u4e00-\u9fff]{2,4}")
_DOT = re.compile(f"[•‧・∙⋅]|(?<=[{CJK}])\\.(?=[{CJK}])")
_HAS_CJK = re.compile(f"[{CJK}]")
_CONTACT_DETAILS = re.compile(
    r"[0-9]{3}|://|www\.|[a-z0-9-]+\.[a-z]{2,}|@|微信|薇信|V信|QQ|扣扣|加V|VX", re.IGNORECASE
)
_ALLOWED = "0123456789 ·'’-.()"
_HAN = re.compile("[^\u3400-\u9fff\U00020000-\U000323af]")
_BETWEEN = re.compile(r"[\W\d_]+")
LONGEST_HAN = 4
"""A Chinese name has no more characters, but for one that writes the sounds of another language."""
_SOUNDS = frozenset(
    "䶮丁万三不丘东丝丰丹丽乃久义乌乎乐乔也买云亚亥亨京什仁仓仙代仪伊伦伯佐佩依保儒克兰兴其兹再农"
    "凡凯列则刚利别力加努劳勃勒包华卓南博卜占卡卢卫厄古可台史叶司合吉吐启吾呼和哈哥哲唐喜嘉嘎嘞噶"
    "因图土圣地坎坚坡坦培基塔塞增夏外多大夫央夸奇奎奥如妣妮姆姑姜威娃娅娘娜娟婷嫩孃孔孙孜孟宁安宗"
    "官宾富察少尔尕尚尤尼山巴布希帕帖干平年库康延廷开弗强当彦彭德忠怀恩恰慈慕戈才扎托拉拓拖拜拥措"
    "提摩撒敖文斯新施日旦旭旺昂昆昌明星晋普曲更曼月朗朝木本朴朵李杜来杨杰松林果柏柔查柯根格桂桑梁"
    "梅森次欣欧武比毕毛永汗江沁沃沈沙沛泊法波泰泽洒洛津洪海涅温滕满潘热爱牛牟特玉玖玛珍班琪琳琼瑟"
    "瓜瓦甘甫甲甸登白皓皮益盖知石祖祥禄福秋科穆穷米素索约纳绒维罕罗美翁耶肉肖肯胜胡腊腾舍舒色艳"
    "艾芒芝花苏苗苞若英茂茜茹荣荷莉莎莫莱莲菲萍萨葛董蒂蒙蓝蕾薇虎衮西覃觉讷诗诺谢谭贝贡贤费贺贾赖"
    "赛赞赤赫跋路辛边达迈迦迪迭逊道那郎郭都里金钢钦铁银锁锡锦门阿陀隆雄雅雪雷霍青韦韩音顺顿颇额香"
    "马高魏鲁鲍麦黎黑默黛齐龙"
)
"""Characters that write the sounds of names of other languages: 买买提·艾力, 扎西次仁. None of them
asks for anything, whatever stands beside it."""
_ADDRESSED = re.compile(
    f"(?:{'|'.join(_TITLES)}|家长|爸爸|妈妈|父亲|母亲|爷爷|奶奶|外公|外婆|先生|女士|同志|同学|医生)$"
)
"""What people write behind a name."""
_REQUEST_WORDS = """
    验证 驗證 密码 密碼 转账 轉賬 轉帳 转帐 汇款 匯款 汇到 付款 打款 缴费 缴款
    收款 退款 贷款 借款 取款 罚款 账户 賬戶 帐户 帳戶 账号 帐号 链接 鏈接 网址
    网站 网页 点击 点开 打开 登录 登陆 扫码 扫描 二维码 短信 回复 回电 来电
    致电 拨打 电话 热线 手机 加我 加群 进群 好友 客服 冻结 解冻 认证 激活 中奖
    领奖 领取 兑换 红包 补贴 奖金 刷单 兼职 返利 投资 理财 下载 安装 共享 屏幕
    转给 发给 交给 寄给 告诉 提供 保证金 手续费 涉嫌 洗钱 逮捕 通缉 立即 尽快
    请 請 您
    汇钱 打钱 转钱 付钱 交钱 借钱 拿钱 取钱 给钱 要钱 送钱 现金 押金 罚金 赌博
    裸聊 约炮 彩票 股票 炒币 网贷 犯法 犯罪 办案 传票 被抓 抓捕 车祸 出事 住院
    中毒 诈骗 骗子 大奖 免费 优惠 打折 退订 救命 删除
"""
REQUEST_WORDS = tuple(_REQUEST_WORDS.split())
"""Words in no name of a person or place; each has its part in asking somebody for something."""
_REQUESTS = re.compile("|".join(REQUEST_WORDS))
_ASKING = re.compile(
    r"pass(?:word|code)|whatsapp|telegram|wechat|\b(?:send|code|pay|bank|click|transfer|account"
    r"|money|verify|refund|urgent|reply|log ?in|otp)\b",
    re.IGNORECASE,
)


class Name(NamedTuple):
    """The name to store ("" for none), the codes of what was mended, and of what to warn of."""

    value: str = ""
    fixes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@lru_cache(_CACHED_NAMES)
def read_name(cell: str) -> Name:
    """The name in a cell of a mapped name column."""
    text = text_form(cell)
    formula = ("csv_injection",) if is_formula(cell, text) else ()
    if is_blank(text) or text.lower() in _NO_NAME:
        return Name(warnings=("name_missing", *formula))
    name = text if _PLAIN.fullmatch(text) else _mend(text)
    if _is_refused(name):
        return Name(warnings=("name_refused", *formula))
    title = ("name_title",) if name.endswith(_TITLES) else ()
    cleaned = ("name_cleaned",) if name != cell.strip(WHITE) else ()
    return Name(name, cleaned, title + formula)


def _mend(text: str) -> str:
    dotted = _DOT.sub("·", text)
    return squeeze(dotted, "" if _HAS_CJK.search(dotted) else " ")


def is_name(value: str) -> bool:
    """Whether a text may use this as a person's name."""
    return not _is_refused(value)


def asks(name: str) -> bool:
    """Whether what is given as the name of a person or place has words that are in no such name."""
    return bool(_REQUESTS.search(_BETWEEN.sub("", name)) or _ASKING.search(name))


def _is_refused(name: str) -> bool:
    if _PLAIN.fullmatch(name):
        return bool(_REQUESTS.search(name) or _CONTACT_DETAILS.search(name))
    if len(name) > LONGEST or _CONTACT_DETAILS.search(name) or asks(name):
        return True
    return not (all(map(_may_stand_in_name, name)) and _is_of_a_persons_length(name))


def _is_of_a_persons_length(name: str) -> bool:
    """Whether the Chinese of it is no longer than a name, or writes the sounds of one."""
    han = _HAN.sub("", _ADDRESSED.sub("", _BETWEEN.sub("", name)))
    return len(han) <= LONGEST_HAN or _SOUNDS.issuperset(han)


def _may_stand_in_name(char: str) -> bool:
    return char in _ALLOWED or category(char)[0] in "LM"
