"""What a text must not carry and may try to hide: links, and characters not what they seem.

Links are looked for in a plain view of the text (half-width, lower case, look-alike letters
replaced, invisible characters gone), so that `ｔ．ｃｎ` and `jingdе.top` are found as well. No
pattern may end with a word boundary: there is none between a Latin and a Chinese letter
(`gov.top办理`).
"""

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

_KNOWN_CHARACTERS = 20_000
"""Characters whose view is kept: a text has mostly those that the last ones had."""
_KNOWN_NAMES = 4_096
"""Names whose view is kept: signatures, and the protected names that each is held against."""


@dataclass(frozen=True, slots=True)
class Obfuscation:
    """Something found at a place of the text, counted from 0."""

    start: int
    what: str


@dataclass(frozen=True, slots=True)
class Disguise:
    """One kind of disguise: how it is called, and how to mend it."""

    chinese: str
    english: str


_LOOKALIKES = {
    "a": "аɑα", "c": "сϲ", "d": "ԁ", "e": "еєε", "g": "ɡ", "h": "һ", "i": "іıι", "j": "ј",
    "k": "кκ", "l": "ӏ", "m": "м", "n": "п", "o": "оοσ", "p": "рρ", "q": "ԛ", "r": "г",
    "s": "ѕ", "t": "тτ", "u": "υս", "v": "ѵν", "w": "ԝω", "x": "хχ", "y": "уγ",
}  # fmt: skip
_TRADITIONAL = (
    "請请領领獎奖舉举報报帳账賬账帐账號号碼码驗验證证轉转匯汇錢钱銀银網网機机關关點点擊击鏈链連连掃扫務务費费"
    "繳缴優优惠惠補补貼贴貸贷財财稅税認认賣卖買买電电話话聯联繫系係系個个實实員员團团訊讯資资級级單单"
    "辦办處处發发開开戶户帶带騙骗額额賠赔贏赢還还債债險险薦荐導导師师業业學学校校廠厂車车鎖锁凍冻結结"
    "異异銷销停停審审調调檢检察察院院國国際际會会長长門门問问聽听說说讓让給给對对應应當当後后時时"
    "間间萬万億亿無无為为從从來来這这過过進进遠远達达選选擇择確确體体運运動动畫画圖图書书戲戏遊游"
    "區区場场檔档據据標标準准幫帮護护衛卫嚴严緊紧懷怀傳传輸输錄录鑰钥匙匙頁页"
    "總总記记黨党統统義义議议與与讀读寫写語语誰谁計计訂订討讨訓训設设訪访評评詞词試试詩诗誠诚詢询該该詳详誤误課课談谈謀谋謝谢識识變变豐丰負负貢贡貨货販贩貪贪貧贫購购貴贵貿贸賀贺賓宾"
    "賞赏質质賴赖賺赚贈赠軍军軟软較较載载輕轻輛辆輩辈輪轮農农遲迟遷迁適适遺遗鄉乡鄰邻醫医釋释針针鈔钞鋪铺鋼钢錯错鍵键鎮镇鏡镜鐘钟鐵铁閉闭閱阅闊阔陽阳陰阴陸陆隊队階阶隨随隱隐雖虽雙双"
    "雜杂離离難难雲云靈灵靜静響响項项順顺須须預预頒颁頻频題题顏颜願愿類类顧顾顯显風风飛飞飯饭飲饮飾饰養养餘余館馆馬马駕驾騎骑驚惊髮发鬥斗鬧闹魚鱼鮮鲜鳥鸟麗丽麥麦黃黄齊齐齒齿龍龙東东"
    "兩两並并喪丧嘗尝圍围園园圓圆執执壞坏壓压壯壮聲声壽寿夠够奪夺奮奋婦妇媽妈寶宝將将專专尋寻層层屬属島岛崗岗嶺岭幣币幾几庫库廟庙廣广廳厅張张強强彈弹徑径復复惡恶惱恼愛爱態态慣惯慶庆"
    "憂忧憑凭憲宪憶忆懲惩懶懒戰战拋抛捨舍掛挂採采揚扬換换揮挥損损搖摇搶抢撥拨撫抚擁拥擋挡擔担擠挤擬拟擴扩擾扰攔拦攜携攝摄敗败敘叙敵敌數数斷断暢畅暫暂曆历條条楊杨極极構构槍枪樂乐樓楼"
    "樣样樸朴樹树橋桥橫横權权歐欧歡欢歲岁歷历歸归殘残殺杀毀毁氣气決决沒没況况淨净淺浅測测湯汤溝沟溫温滅灭滿满漁渔漢汉漲涨潔洁潤润濟济濫滥瀏浏灣湾災灾煉炼煙烟煩烦熱热燈灯燒烧營营爐炉"
    "爭争爺爷牆墙狀状獨独獲获獵猎獻献現现環环產产畢毕療疗盜盗盡尽監监盤盘眾众矯矫礎础禮礼禍祸種种稱称積积穩稳窮穷竊窃競竞筆笔節节範范築筑簡简簽签籌筹籤签糧粮糾纠紀纪約约紅红純纯紙纸"
    "紛纷細细終终組组絕绝絡络絲丝經经綠绿維维綱纲線线編编緩缓緝缉縣县縮缩績绩織织繪绘繩绳續续罰罚罷罢習习聖圣聞闻職职聰聪肅肃脅胁腦脑腳脚膠胶臉脸臨临臺台興兴舊旧艱艰藝艺莊庄華华葉叶"
    "蓋盖藍蓝藥药蘭兰虛虚蟲虫術术衝冲裝装裡里製制複复襲袭見见規规視视親亲覽览覺觉觀观觸触"
)
_SIMPLIFIED = {
    ord(old): new
    for old, new in zip(_TRADITIONAL[::2], _TRADITIONAL[1::2], strict=True)
    if old != new
}
"""Traditional and variant forms of the characters that matter to the rules."""
_TENT = re.compile("帐(?=[篷幕])|(?<=[蚊营])帐")
"""Words in which a variant of those is the standard form."""

_LATIN = {ord(like): letter for letter, likes in _LOOKALIKES.items() for like in likes}
_PLAIN_LETTER = _SIMPLIFIED | _LATIN
_FOREIGN_SCRIPTS = ("CYRILLIC ", "GREEK ", "ARMENIAN ", "CHEROKEE ", "COPTIC ")
_BLANKS = "\u115f\u1160\u2800\u3164\uffa0"
_USEFUL_SYMBOLS = "°℃×÷±≤≥㎡"
_FULL_WIDTH_SIGNS = range(0xFF01, 0xFF5F)

_TLD = "com|net|org|cn|top|xyz|vip|cc|info|club|shop|site|online|icu|me|io|co|app|link|work|tv|gov"
_CHINESE_TLD = "中国|公司|网络|网址|网站|在线|商城|政务|公益|集团|手机|移动|企业|我爱你"

_SCHEME = "[a-z][a-z0-9+.-]{0,30}://"
_LINK = re.compile(
    rf"""
      {_SCHEME}(?:(?!{_SCHEME})[-!#-&*+./0-:=?-~])*              # a URL, up to the next
    | [a-z0-9._%+-]{{1,64}}@[a-z0-9.-]+                                # e-mail
    | (?<![0-9.])(?:[0-9]{{1,3}}\.){{3}}[0-9]{{1,3}}(?![0-9])   # IPv4
    | (?:[0-9a-f]{{1,4}}:){{3,7}}:?[0-9a-f]{{1,4}}              # IPv6
    | [0-9a-f]{{1,4}}::[0-9a-f]{{1,4}}                          # IPv6, shortened
    | (?:[a-z0-9-]{{1,63}}\.){{1,20}}(?:xn--[a-z0-9-]+|[a-z]{{2,}})               # a domain
    | [\w-]{{1,63}}\.(?:{_CHINESE_TLD})                                # a Chinese domain
    | [a-z0-9-]{{1,63}}(?:\s\.|\s*(?:点|。|[\[(]\.[\])]|[\s\[(]dot[\s\])])\s*)(?:{_TLD})(?![a-z0-9])
    """,
    re.VERBOSE,
)

_CHINESE_DIGITS = "零〇一二三四五六七八九幺两"
_SMALL_DIGITS = "⁰¹²³⁴-⁹₀-₉⓪①-⑨⑴-⑼⒈-⒐❶-❾➀-➈➊-➒㈠-㈨"
_SPACED_DIGITS = re.compile(
    rf"""
      (?<![0-9])[0-9](?:[^\S\n]+[0-9]){{2,}}(?![0-9])
    | (?<![0-9])[0-9](?:\s*[-.*_~/·•—]\s*[0-9]){{3,}}(?![0-9])
    | [{_SMALL_DIGITS}](?:\s*[{_SMALL_DIGITS}]){{2,}}
    | [{_CHINESE_DIGITS}]{{5,}}                                     # spelled out
    | (?<![0-9])[0-9]+(?:[{_CHINESE_DIGITS}]+[0-9]+){{2,}}
    """,
    re.VERBOSE,
)

_GROUPED_DIGITS = re.compile(
    r"(?<![0-9])[0-9]{1,4}(?:\s*[-·•.*_~～/|:：—]\s*[0-9]{1,4}){2,}(?![0-9])"
    r"|(?<![0-9])[0-9]{1,2}(?:\s*[、,，]\s*[0-9]{1,2}){2,}(?![0-9]|\s*[日号月周])"
)
"""A number in groups. Groups of three digits and more are read as numbers in themselves."""

_DAY = r"(?:19|20)[0-9]{2}[-/.](?:0?[1-9]|1[0-2])(?:[-/.](?:[12][0-9]|3[01]|0?[1-9]))?"
_CLOCK = "(?:[01]?[0-9]|2[0-4])[:：][0-5][0-9](?:[:：][0-5][0-9])?"
_MOMENTS = re.compile(
    rf"(?:{_DAY}|{_CLOCK})(?:\s*[-—~～]\s*(?:{_DAY}|{_CLOCK}|[0-9]{{1,2}}(?:[/.][0-9]{{1,2}})?))*"
)
_FEWEST_DIGITS = 7
"""Fewer in groups are a ratio, a version, or a choice of answers."""

_GAP = r"[^\w\n，。、；：！？“”‘’（）{}【】]{1,3}"
_SPLIT_WORD = re.compile(
    "|".join(
        [
            _GAP.join(word)
            for word in ("微信", "薇信", "转账", "汇款", "密码", "红包", "扫码", "链接")
        ]
        + [
            rf"{a}[^\w{{}}【】]{{1,3}}{b}[^\w{{}}【】]{{1,3}}{c}"
            for a, b, c in ("验证码", "动态码")
        ]
        + [r"(?<![a-z])(?:[a-z][^\S\n]){3,}[a-z](?![a-z])"]
    ),
    re.IGNORECASE,
)
"""Words that filters look for, with something between their characters."""

SPACED = Disguise(
    "号码被空格、符号拆开或用带圈数字书写，请连写为普通数字，如 96110",
    "a number broken up by spaces or signs, or in circled digits; write it whole, as 96110",
)
INVISIBLE = Disguise(
    "含看不见的字符，请删除后重新输入这一处",
    "invisible characters; delete them and type this place again",
)
WIDE = Disguise(
    "含全角或变体的字母、数字，请改为半角",
    "full-width or variant letters or digits; write them half-width",
)
FOREIGN = Disguise(
    "含形似拉丁字母的外文字母，请改用英文字母",
    "letters that only look Latin; type them as English letters",
)
VARIANT = Disguise(
    "含繁体字或异体字，请改为规范简体字",
    "traditional or variant characters; write the simplified ones",
)
SPLIT = Disguise(
    "词语被空格或符号拆开，请连写",
    "a word broken up by spaces or signs; write it whole",
)
DECORATION = Disguise(
    "含表情或装饰符号，请删除；金额请写“元”",
    "emoji or decorative symbols; delete them, and write amounts with 元",
)


def links(text: str) -> Iterator[Obfuscation]:
    """Every URL, domain, e-mail or IP address, however it is spelled."""
    plain, origins = plain_view(text)
    for match in _LINK.finditer(plain):
        yield Obfuscation(origins[match.start()], match[0].rstrip(".!?:"))


def without_links(plain: str) -> str:
    """A plain view without its links."""
    return _LINK.sub(" ", plain)


def disguises(text: str) -> Iterator[tuple[Disguise, Obfuscation]]:
    """Each kind of disguise once, with its first place and all the characters it uses."""
    text = _TENT.sub("布", text)
    odd = [(index, kinds) for index, character in enumerate(text) if (kinds := _kinds(character))]
    for kind, _ in _CHARACTER_KINDS:
        if places := [index for index, kinds in odd if kind in kinds]:
            shown = dict.fromkeys(_shown(text[index]) for index in places)
            yield kind, Obfuscation(places[0], " ".join(shown))
    if match := _SPACED_DIGITS.search(text) or _grouped(text):
        yield SPACED, Obfuscation(match.start(), match[0])
    if match := _SPLIT_WORD.search(text):
        yield SPLIT, Obfuscation(match.start(), match[0])


def _grouped(text: str) -> re.Match[str] | None:
    """The first number that stands there in groups, and is no date, time or row of numbers."""
    for match in _GROUPED_DIGITS.finditer(text):
        groups = re.findall("[0-9]+", match[0])
        ascending = all(int(a) < int(b) for a, b in pairwise(groups))
        joined_by_dashes = not re.search("[^0-9 -]", match[0])  # as numbers ordinarily are
        if (
            sum(map(len, groups)) >= _FEWEST_DIGITS
            and min(map(len, groups)) < 3
            and not (ascending or joined_by_dashes or _MOMENTS.fullmatch(match[0]))
        ):
            return match
    return None


def plain_view(text: str) -> tuple[str, list[int]]:
    """The text as the eye takes it, and where in the text each of its characters stands.

    It is half-width, in lower case and simplified characters, without what cannot be seen.
    """
    seen = list(map(_seen, text))
    return "".join(seen), [index for index, character in enumerate(seen) if character]


@lru_cache(_KNOWN_CHARACTERS)
def _seen(character: str) -> str:
    """How the eye takes a character; empty: not at all."""
    return "" if _is_invisible(character) else _plain(character)


@lru_cache(_KNOWN_NAMES)
def name_as_seen(name: str) -> str:
    """What is left of a name in the plain view without spaces and signs."""
    return re.sub(r"[\W_]+", "", plain_view(name)[0])


def _plain(character: str) -> str:
    """The half-width, lower-case, Latin, simplified twin of a character, always one for one."""
    narrow = unicodedata.normalize("NFKC", character)
    lower = (narrow if len(narrow) == 1 else character).lower()
    return lower.translate(_PLAIN_LETTER) if len(lower) == 1 else character


def _shown(character: str) -> str:
    code = f"U+{ord(character):04X}"
    return code if _is_invisible(character) else f"{character} ({code})"


def _is_invisible(character: str) -> bool:
    if character in "\n\r\t":
        return False
    if character in _BLANKS or "\ufe00" <= character <= "\ufe0f":
        return True
    return unicodedata.category(character) in {"Cf", "Cc", "Cs", "Co", "Cn", "Zl", "Zp"}


def _is_wide(character: str) -> bool:
    category = unicodedata.category(character)
    if character.isascii() or category not in {"Lu", "Ll", "Lm", "Lo", "Nd"}:
        return False
    twin = unicodedata.normalize("NFKC", character)
    return category == "Nd" or (twin.isascii() and twin.isalnum())


def _is_foreign(character: str) -> bool:
    if not character.isalpha() or character.isascii():
        return False
    named = unicodedata.name(character, "")
    return named.startswith(_FOREIGN_SCRIPTS) or ord(character) in _LATIN


def _is_variant(character: str) -> bool:
    """A traditional form that the rules know, or a compatibility form of a unified character."""
    if ord(character) in _SIMPLIFIED:
        return True
    twin = unicodedata.normalize("NFKC", character)
    return twin != character and "CJK UNIFIED" in unicodedata.name(twin[0], "")


def _is_decoration(character: str) -> bool:
    if character.isascii() or ord(character) in _FULL_WIDTH_SIGNS or character in _USEFUL_SYMBOLS:
        return False
    if character in "※‼⁉" or "\u0300" <= character <= "\u036f":
        return True
    return unicodedata.category(character) in {"So", "Sc", "Sm", "Sk", "Me"}


_CHARACTER_KINDS: tuple[tuple[Disguise, Callable[[str], bool]], ...] = (
    (INVISIBLE, _is_invisible),
    (WIDE, _is_wide),
    (FOREIGN, _is_foreign),
    (VARIANT, _is_variant),
    (DECORATION, _is_decoration),
)


@lru_cache(_KNOWN_CHARACTERS)
def _kinds(character: str) -> tuple[Disguise, ...]:
    """The kinds of disguise that a character belongs to: none, for most."""
    return tuple(kind for kind, belongs in _CHARACTER_KINDS if belongs(character))
