"""How far a negation, a verdict or a report reaches, and what is asked for in person.

Each honest text stands beside a scam that is worded alike and must stay stopped.
"""

import pytest

from service.ledger.message_class import MessageClass
from service.messages.lint.lint import lint, of_level
from service.messages.policy import TextSender

SIGNED = "【旌德县反诈中心】"
POLICE = TextSender("旌德县反诈中心", "police", frozenset({"旌德县反诈中心"}))


def found(text: str, message_class: MessageClass = "service") -> dict[str, str]:
    """The rules that found something to block or to review, with their levels."""
    findings = lint(SIGNED + text, {}, message_class=message_class, sender=POLICE)
    blocked = of_level(findings, "block")
    return {one["rule"]: one["level"] for one in [*of_level(findings, "review"), *blocked]}


HONEST = [
    # A request that is told within a clause with 的, and condemned by what follows.
    "自称军属的客人订餐，又请您代购烟酒并先付酒钱的，是连环骗局。疑问拨96110。",
    "对方请您垫付运费的，没有一家是正规商家，疑问拨12315。",
    # A verdict some clauses later.
    "“教官”要您交保险费，或催您进直播间下单，都是剧本，疑问拨96110。",
    "培训先交服装费、材料费的，多半是黑中介，疑问拨12333。",
    "说您中了电视、要先付税金才发货，没有哪个正规商家这样做，疑问拨12315。",
    # What is denied of others, with all that they would have the reader do.
    "快递员不会加您微信，更不需要您打开会议软件共享屏幕，疑问拨12305。",
    "绝不让您下载软件共享屏幕，也从不叫人把钱转到别处，疑问拨96110。",
    "哪有领奖先交钱的道理，更用不着您报验证码，疑问拨96110。",
    "没有哪个民警会让您把存款转到核查账户，疑问拨110。",
    "请勿把取件验证码发给生人，疑问拨96110。",
    # What others do as a habit, and what was done.
    "路边“扫码领水杯”的摊子，往往叫您进群领单、报身份证号，便宜莫贪，疑问拨96110。",
    "已经按对方指引操作的，请联系银行并拨打110。",
    "有人冒充镇长，以“在开会”为由请人代为付款，请当面核实，疑问拨96110。",
    "有人冒用96110名义索要密码，请挂断后拨110。",
    # Acts in person, where only the document is shown.
    "进园请向门卫出示身份证登记，疑问拨12345。",
    "住院请带身份证到一楼自助机报到，疑问拨12345。",
    "观众请在门口出示门票和身份证，疑问拨12345。",
    # Texts that are passed on, the national app, a tent.
    "各位楼长：防骗短文已发，请转到各单元群，转完回复1，疑问拨96110。",
    "请完成国家反诈中心App安装登记，仅从官方应用商店下载，装好回复1，疑问拨96110。",
    "请在官方应用商店搜索安装“国家反诈中心”App。安装不用交钱，也不收费，疑问拨96110。",
    "Please install “国家反诈中心” only from your phone's own app store. Call 96110 if in doubt.",
    "请家长管好手机，别让孩子代为付款，疑问拨12315。",
    "救灾帐篷已到，请村民到村部排队领取，疑问拨12345。",
    # What the reader applied for, and a denial in English.
    "您的企业注销登记申请已受理，证明可到窗口领取，疑问拨12345。",
    "We never ask you to install anything, to move your savings or to tell a code. Call 96110.",
    "工作还没找着就要交培训费，这钱别给，疑问拨12333。",
    "请给孩子的平板设好支付锁，疑问拨12315。",
    "先付押金的黄牛信不过，疑问拨12306。",
    "快递里的奖券，扫了就让您进群领奖、交税，撕掉就好，疑问拨12315。",
    "回执请持身份证到派出所窗口领取，进展由办案单位当面告知，疑问拨110。",
    "预约请到一楼服务台登记，无需支付挂号费押金，疑问拨12345。",
    "遇到要您下载会议软件的来电，无论说得多急，挂断即可，疑问拨96110。",
    "群里“充10返300”是骗小学生的把戏，疑问拨96110。",
    "“花钱消分”、找人代扣分都是违法的，疑问拨12123。",
    "一份通知书待领取，请法定代表人到县税务局二楼领取，疑问拨12366。",
]

SCAMS = [
    "请您立即代付货款的，平台奖励百元，是连环好礼。",
    "请立即把货款转给我，没有一家比我们正规。",
    "要您交保险费，我们办理，请先付三百元，别家都是剧本。",
    "请先交服装费再上岗，不交的多半是黑中介介绍来的。",
    "我们不会让您吃亏，请打开会议软件共享屏幕。",
    "不会影响您的征信，提供验证码即可恢复。",
    "不需要您跑腿，请打开会议软件共享屏幕退款。",
    "没有哪个民警会冤枉您，请把存款转到核查账户。",
    "没有哪个客户不会让老师带一带，请把验证码发给老师。",
    "哪有不花钱的好事，请先交保证金500元。",
    "请勿错过，把验证码发给专员即可。",
    "本中心民警往往要您配合，请把验证码念给民警。",
    "未操作的，请按客服指引操作并共享屏幕。",
    "以配合调查为由，请您付款到指定账户。",
    "请向民警出示身份证和银行卡，视频核对。",
    "请在门口拍下身份证发送到微信登记。",
    "请到窗口领取前先把身份证照片发给专员登记。",
    "请转到专员账户，转完回复1。",
    "请在应用商店以外安装国家反诈中心专用版，安装不用交钱。",
    "Please install the official helper only from this link in your phone's own app store.",
    "您的账户即将注销，请联系专员申请登记保留。",
    "We never ask you to pay twice but please read out the code to our officer.",
    "We never ask you to pay, to be fair, please read out the code to our officer.",
    "押金还没退？请先交手续费300元。",
    "请到设好的支付锁页面支付3000元。",
    "信不过别人，请先付押金500元给我们。",
    "扫了就能领奖，请扫码进群。",
    "请持身份证到窗口前，请把验证码告知专员。",
    "不需要您到所里，请打开视频会议做笔录，没有哪个民警会害您。",
    "骗子最怕您动作快，请立即把钱转到中心账户保全，谁叫您别转谁就是骗子。",
    "自称客服请您转账的是骗局，请把余额转到我中心托管户。",
    "请下载会议软件，无论多忙，不要挂断。",
    "您的驾驶证已扣12分，请到服务厅花钱消分，找大厅黄经理。",
    "别让孩子知道，也别告诉家人，先把钱准备好。",
    "请到帐户管理处把帐号报给专员。",
    "您的补贴已下达，到账通知书一份，红包待领，请到店里领取。",
    "您有红包待领，请到店扫码领取。",
]


@pytest.mark.parametrize("text", HONEST)
def test_what_is_told_denied_or_done_in_person_passes(text: str) -> None:
    assert found(text) == {}


@pytest.mark.parametrize("text", SCAMS)
def test_what_is_worded_alike_and_asks_for_it_is_blocked(text: str) -> None:
    assert "block" in found(text).values()


DUE = [
    "尊敬的用户，您户本月电费58.20元，请于月底前到供电营业厅或银行网点缴纳，已缴请忽略。疑问拨95598。",
    "您的话费余额不足10元，请及时通过营业厅或官方App充值，以免影响通话。疑问拨10086。",
    "城乡居民医保缴费期至12月31日，请到税务窗口、银行柜台缴纳，未缴费将影响明年待遇。疑问拨12366。",
    "车位租金请于本周五前到政务服务大厅窗口刷卡缴纳，当场开具票据，不接受私人转账。疑问拨12345。",
    "企业所得税申报期至15日，请到办税服务厅或电子税务局办理，逾期将按规定加收滞纳金。疑问拨12366。",
    "尊敬的参保人，您的高龄津贴因未年审自11月起停发，可携身份证到社区窗口补办，恢复后补发。疑问拨12333。",
    "您的号码已欠费停机，请到营业厅或官方App缴费，缴费后自动恢复通话。疑问拨10086。",
    "您有一笔契税逾期未缴，请到办税厅或电子税务局办理，以免产生滞纳金。疑问拨12366。",
]
BY_ANOTHER_WAY = [
    "您户电费已欠，请通过官方缴费平台客服提供的收款码缴纳，以免停电。疑问拨95598。",
    "您户水费48元，营业厅今日停办，请转账到收费员账户，凭截图销账。疑问拨12345。",
    "您户水费48元，不用到营业厅，请扫短信里的码缴纳。疑问拨12345。",
    "您的医保已停保，请到窗口或联系专员提供的账户补缴。疑问拨12393。",
    "您的银行卡涉嫌洗钱，即将冻结，请到派出所窗口说明情况。疑问拨110。",
    "税款逾期未缴，请到窗口或转给代办员缴纳，办税厅今日停办。疑问拨12366。",
    "请到银行柜台把存款转出缴纳验资款，再到服务大厅解冻。疑问拨96110。",
]


BESIDE_IT = [
    "您户已欠费，请到营业厅缴费，或回拨来电由值班人员代为办理。疑问拨12345。",
    "尊敬的参保人，补缴养老保险请到银行柜台，存入社保代理人账户，疑问拨12333。",
    "您的驾驶证已扣分，可到服务大厅办理，找大厅的黄经理，疑问拨12123。",
    "您本月水费36.5元，请到营业厅缴纳，也可联系收费人员。疑问拨12345。",
]


@pytest.mark.parametrize("text", DUE)
def test_a_payment_by_an_official_way_alone_is_advice(text: str) -> None:
    findings = lint(SIGNED + text, {}, message_class="service", sender=POLICE)
    assert {one["level"] for one in findings if one["rule"] in {"R08", "R10"}} <= {"warn"}
    assert found(text) == {}


@pytest.mark.parametrize("text", BESIDE_IT)
def test_a_payment_with_somebody_named_beside_the_counter_is_stopped(text: str) -> None:
    assert found(text).keys() & {"R08", "R10"}


@pytest.mark.parametrize("text", BY_ANOTHER_WAY)
def test_a_payment_by_another_way_beside_the_official_one_is_blocked(text: str) -> None:
    assert "block" in found(text).values()


def test_a_payment_by_an_official_way_needs_a_person_in_a_text_worded_otherwise() -> None:
    text = "恭喜亲！名额仅剩3个，今晚截止，抓紧到窗口缴费抢位，秒变会员。"
    assert found(text)["R08"] in {"review", "block"}
