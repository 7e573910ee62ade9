"""What lint says of a value alone: the name, place or figure that fills a variable of a text.

A second person approves the text, and nobody each value in it. So a value asks for nothing, has no
link and no number, whatever stands around it; it is read as a sentence of its own. What a direct
send brings is held to more: it names something, as a noun or a figure does, and tells nobody to do
anything. That is judged by its grammar and by what frauds live on, not by lint's rules for texts,
which need a sentence to read.
"""

import re
from collections.abc import Collection, Sequence
from itertools import pairwise

from service.ledger.message_class import NOTICE
from service.messages.lint.draft import closed
from service.messages.lint.lint import Finding, lint, of_level
from service.messages.policy import Policy, TextSender, for_unread_words

_SIGNATURE = "本县"
_ALONE = f"【{_SIGNATURE}】您好。{{{{{{}}}}}}。"
"""A text in which lint finds nothing, so that what it finds is in the value."""


def value_findings(
    value: str,
    policy: Policy,
    landlines: Collection[str] = frozenset(),
    variable: str = "值",
) -> list[Finding]:
    """The findings of level `block` and `review` on a value, at the shipped levels or stricter
    ones, and by the county's never-words; takes about a millisecond.

    landlines: the numbers that are registered for whoever sends, in digits. variable: what it
    fills, which says how long it may be.
    """
    sender = TextSender(_SIGNATURE, "county", frozenset({_SIGNATURE}), frozenset(landlines))
    found = lint(
        _ALONE.format(variable),
        {variable: value},
        message_class=NOTICE,
        sender=sender,
        policy=for_unread_words(policy),
        weights={},
    )
    return of_level(found, "block", "review")


_MOMENT = (
    "今天|明天|后天|今[晚早日]|明[晚早日]|[上下中]午|晚上|傍晚|凌晨|早上|现在|即日|本[周月]|[上下]周|"
    "周[一二三四五六日末]|星期[一二三四五六日天]|[0-9一二两三四五六七八九十]+(?:[年月日号时点分]半?|:[0-9]+)|[前之]前?|"
    "[到在于]?期前"
)
_ORDERED = (
    "请(?!假|柬|帖)|务必|尽快|赶[快紧]|马上|立[即刻]|火速|抓紧|速(?![度递冻效读写算记测干食溶生])|别(?![墅名针院册])|勿|"
    "不要|不得|不准|不许|(?<![无毋])[需须](?!求)|(?<![重主首摘纪概扼提必紧次])要(?![闻点塞素领道件求])|切记|记得|记住|千万(?!元)|必须|只需|即可|的话|不[^不、]{1,3}[就停]|(?:发|回|打|加|拨|扫|点|填|报|看|问|说|签|按)(?:个|一下)|就[能可会行给送有]|否则|不然|再不|快(?![递餐速件检照门捷乐])"
)
"""How somebody is told to do something, or what follows if they do (not)."""
_ADDRESSED = "|".join(
    (
        "[您你妳咱俺]|我(?![县市区镇乡街社村国省州校院局所站园馆厂])",
        "自己|本人(?!无|已|持|身|材|签|照|确)|家里人",
    )
)
_REACHED = (
    "微信|薇信|[小新换改]号(?!线|楼|院|码|门|厅|窗)|加[微薇威v]|[扣企]鹅|扣扣|qq|vx|v信|好友|(?<![人超社])群(?![众体岛山落租楼]|$)|公众号|视频号|小程序|直播|"
    "客服|私[信聊]|回(?:电|个|信|拨|复|短信|消息)|来电(?!显示|登记|记录)|致电|去电|打(?:电话|过来|给|去)|拨打|"
    "通(?:电)?话(?!费|质量|记录)|联系(?!人|方式|单|地址|电话|点|卡)|咨询(?!服务|中心|台|处|室|业务|窗口|师|费|会|日|活动|投诉|预约|工作)|"
    "找(?!零|平)|扫(?:码|一扫|描二|这|下)|二维码|链接|网址|网页|点[击开进]|下载|安?装[个一了下好]|安装(?!工程|费|调试|验收|维修|预约|服务|完)|"
    "app|登[录陆](?!异常|失败|记录)|注册(?!会计|商标|护士|登记|资本|建造|地|表|号|变更|资格|完)|共享(?!单车|汽车|充电)|屏幕|远程(?!教育|医疗|会诊|"
    "诊疗|培训|监控|抄表|问诊)|会议号|关注(?!度|对象|人员|重点)|搜[索一下]?(?!救)|转发|转告|转达|告[诉知](?!书|单|函|牌|栏|承诺|事项)"
)
"""Other ways to be reached, and words that send people there."""
_CODES = "|".join(
    (
        "验证(?!结果|报告)|重绑|[绑解]绑|绑定|校验码|动态码|短信码",
        "取款码|付款码|密码|口令|卡号|账号|身份证号|[几两二三四五六七八九十0-9]位数",
    )
)
_MONEY = (
    "转[账钱款给到至]|汇[款钱到至给]|打[钱款]|[垫先预]付(?!卡|费电表)|垫资|先交|交给|付给|打给|寄给|发给|送给|借给|借钱|"
    "(?:带|拿|备|凑|取|存|交|付|充)(?:上|好|齐|点|些|足|着)?[0-9一二两三四五六七八九十百千万]*(?:现金|现钞|存折|钱)|现金|现钞|购物卡|"
    "充值卡|点卡|安全账户|解冻|提现|刷[单流]|佣金|代[付购买](?!理)|洗钱|贿|红包|钱(?:放|搁|给|送|交|要|就)|急需|急用|救急|周转"
)
_LURED = (
    "中了|中奖|赚|名额|可办|招(?![生标商待考投手聘])|日薪|[大得领获]奖(?!状|证书|名单|人员|学生|者|作品)|领奖|免费送|送(?:米|油|蛋|鸡|大米|礼|好礼|面|金|一)|还送|充[^、]{1,4}送|有礼(?=品|$)|赠[送品]|礼[品包](?!店)|好礼|"
    "抽奖|返(?![校乡程航修聘回岗])|翻[倍番]|双倍|[0-9一二两三四五六七八九十百]倍|高薪|日[结赚入]|月[入赚息]|年化|收益|稳[赚赢]|包[赚赢过赔]|"
    "保本|利息|内[部幕]消息|内幕|下注|赔率|投注|彩票|股票|荐股|炒[股币]|理财|投资(?!项目备案|审批|促进|局|备案)|兼职|秒批|放款|低息|网贷|"
    "无抵押|提额|套现|办证刻|发票代|约[炮会]|交友|美女|按摩|养生|保健品|特效|神药|祖传|根治|限时|"
    "抢[购到先]|秒杀|优惠|折扣|[0-9一二三四五六七八九]折|特价|促销|清仓|名额有|仅剩"
)
_FRIGHTENED = (
    "赔钱|赔偿金|私[了下]|和解费|涉[嫌案]|案件待|有案|传票|逮捕|拘[留捕役]|抓[捕走了]|被[抓扣骗拘绑]|绑架|通缉|冻结|停用|销户|封[号停存]|失信|黑名单|征信|起诉|"
    "法院|强制执行|坐牢|犯[罪法]|有人(?![员民])|违法|车祸|出事|出了?意外|抢救|病危|救命|住院急|感染了|泄露|被盗|异常|后果|曝光|追究"
)
_ACTS = re.compile("|".join((_ORDERED, _ADDRESSED, _REACHED, _CODES, _MONEY, _LURED, _FRIGHTENED)))
_HONEST_ACTS = re.compile(
    "异常(?=(?:天气|结果|指标|报告))|(?:结果|指标|报告|数据|信号|供[电水])异常|征信(?:报告|查询)|法院(?:大厅|立案)|(?:复查|检查|血压|血糖|血脂)异常|"
    "失信(?=修复)|申请|邀请|聘请|报请|提请|特别|类别|级别|性别|识别|个别|区别|辨别|快速|迅速|加速|高速|时速|国家奖|"
    "助学贷款|[0-9]{4}年(?=[度级])"
)
"""Words that contain one of those and are another."""

_VERB = re.compile(
    "到(?![期账货岗访院达场会位诊站港])|去(?![年世向留除污皮痛])|来(?![访信函电源宾稿年料宝安])|前往|把|让|叫(?!号)|替(?![换代补])|帮(?![扶教])|"
    "给(?![付水排药养予])|带(?![薪教班状鱼岛头队压电货量])|拿|加(?![班油工固湿密盟氢气分权强压热床护急])|"
    "打(?![卡印桩井捞包磨假架工击火字])|拨(?!付|款)|回(?![执访迁收族民购乡国春诊款升族弹])|转(?![运院诊移正学入出岗业户让氨型制])|"
    "交(?![通警管易接流割底付费款行大叉])|缴(?![费款纳存])|付(?![费款息])|取(?![件药水票消证得样暖材景号餐卡])|领(?![取证导养用证票料]|药|证)|"
    "买(?![卖房买])|报(?![告名销到表批废刊纸考备警案税价送建装检验社站关])|填(?![报表写])|发(?![放票布货热展改证改生育动电现票件言明运车])|"
    "送(?![达检医货餐药审货水教别气])|寄(?![宿存养递])|存(?![折款量单栏续储档])|充(?![电值])|借(?![阅款书条据调])|"
    "投(?![诉标保影递放产资篮])|押(?![金运])|下注|玩|"
    "看(?![病护望守管诊房])|听(?![力证写课诊])|接(?![种送待诊访收触站线车])|见(?![习义证])|"
    "签(?![约到收名字证章注发])|"
    "装(?![修卸饰备订配])|开(?![学业放工幕户会庭机票水关票通门标盘闭展具]|药|证)|"
    "删(?!除)|进(?![修度程展口行货站出])|走(?![访廊失读])|坐(?!便|诊)|乘(?!客|车码|务)|参加(?!人|工|保|对)|加入|购买(?!记录|服务)|"
    "配合(?!度)|提供|准备(?!金|工作|期)|携带|出示|上报(?!材料|数据)|核对|支付|归还|告|说(?!明)|等(?!级|候|额|待|离子)|"
    "跟|陪(?!护|同|读|练|审)|收(?!据|费|件|款|入|货|养|发|藏|银|支|储|割)|用(?!水|电|药|户|工|地|品|餐|车|人|血|气|具)|"
    "点(?!名|滴|位|餐|评|心|卯)|按(?!揭|摩|时|期|键)|选(?!票|举|修|课|聘|民|调|手|址)|写(?!字|作|生|真)|"
    "留(?!学|言|守|观|级|置|任)|退(?!休|费|款|货|役|税|伍|还|票|学|回|耕|押|保|订|烧)|换(?!证|发|届|药|水|季|热|乘|领|货|票|卡|补|新|表|肾|岗|租)|"
    "补(?!贴|助|办|缴|偿|考|录|种|交|换|充|领|发|正|课|牙|习|票|税|差|选|卡|登)"
)
"""Verbs at the head of a value, told from the nouns and headings that begin alike."""
_SEGMENT = re.compile(r"[、\s()（）\-—/:：+&“”\"'《》]+")
_AHEAD = re.compile(f"(?:{_MOMENT}|[的在于]|,)+")
_CLAUSE = re.compile(r"[;。!?…]|,(?![0-9]{3})|(?<![0-9]),|\.(?![0-9])")


def tells(value: str) -> bool:
    """Whether a value of a direct send says more than what something is called: it tells or asks
    somebody to do something, lures, frightens, or names a way to be reached.
    """
    text = closed(value)
    if _CLAUSE.search(text):
        return True
    plain = _HONEST_ACTS.sub("〇", text)
    return bool(_ACTS.search(plain)) or any(map(_begins_with_verb, _SEGMENT.split(text)))


_TRADES = re.compile(
    "投资|理财|彩票|股票|法院|保健品|养生|按摩|兼职|转运|现金|优惠|特价|促销|收益|网贷|交友|"
    "犯罪(?=预防|侦查|研究)|违法(?=处理|查处)"
)
"""What an organisation may have in its name, by its trade or its task."""
_ORGANISATION = re.compile(
    r"(?:公司|集团|厂|店|铺|超市|商场|酒店|宾馆|局|委|办|院|校|园|站|所|部|处|科|中心|协会|学会|联合会|合作社|社|"
    r"行|队|馆|会|庭|室|城|市场|大厅|网点)(?:[(（][^()（）]{1,10}[)）])?"
)
"""How the name of an organisation ends."""
_INTAKE = re.compile("(?:20)?[0-9]{2}(?=[级届])")
"""The year in which a class began: a number that nobody calls."""


_LONGEST_LISTED = "单位"
"""A variable that may be filled by the longest values of lists."""


def listed_findings(
    value: str, policy: Policy, landlines: Collection[str] = frozenset()
) -> list[Finding]:
    """As `value_findings`, on what a list says for an organisation, a school or a class."""
    return value_findings(_INTAKE.sub("本", value), policy, landlines, _LONGEST_LISTED)


def tells_as_name(value: str) -> bool:
    """Whether what a list says for an organisation, a school or a class tells somebody something;
    the trade of an organisation does not.
    """
    text = closed(value)
    ends = [match for match in _ORGANISATION.finditer(text) if match.end() == len(text)]
    return tells(_TRADES.sub("业", text) if ends else text)


def tell_together(values: Sequence[str]) -> bool:
    """Whether values that stand in one text say such a thing together, and none of them alone:
    `微` and `信同号`.
    """
    ends = [closed(value) for value in values]
    return any(_is_across(before, after) for before, after in pairwise(ends))


_REACH = 4


def _is_across(before: str, after: str) -> bool:
    text = before[-_REACH:] + after[:_REACH]
    at = len(before[-_REACH:])
    found = _APART.finditer(text)
    return any(match.start() < at < match.end() for match in found)


_APART = re.compile("|".join((_REACHED, _CODES, _MONEY, _LURED, _FRIGHTENED)))


def _begins_with_verb(segment: str) -> bool:
    ahead = _AHEAD.match(segment)
    return bool(_VERB.match(segment, ahead.end() if ahead else 0))


_HAN_DIGITS = str.maketrans("零〇一二三四五六七八九幺两", "0012345678912")
_DRESSED = re.compile(
    r"(?<![0-9])(?:19|20)[0-9]{2}[-/.年](?:1[0-2]|0?[1-9])(?:[-/.月](?:3[01]|[12][0-9]|0?[1-9])日?|月)?(?![0-9])"
    r"|(?<![0-9])(?:2[0-4]|[01]?[0-9])(?:[:点时][0-5][0-9]分?)(?![0-9])"
    r"|(?<![0-9])[0-9]{1,3}(?:,[0-9]{3})*(?:\.[0-9]{1,2})?元|(?<![0-9])[0-9]{1,6}(?:\.[0-9]{1,2})?元"
)
_PARTED = re.compile(r"(?<=[0-9])[\s\-—_·•.*~/()（）,，、:]+(?=[0-9])")
_LONG = re.compile("[0-9]{7,}")


def carries_number(value: str, landlines: Collection[str]) -> bool:
    """Whether a value has seven digits in a row, however they are written, which are no day, time
    or amount and not registered for whoever sends.
    """
    plain = _DRESSED.sub("x", closed(value).translate(_HAN_DIGITS))
    return any(match[0] not in landlines for match in _LONG.finditer(_PARTED.sub("", plain)))
