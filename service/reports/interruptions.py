"""What keeps texts from being sent, and what lets them go on, in words (pure).

One row of the table `interruptions` is one of `KINDS`; its code, and that of a fire, is one of
`WHYS`. Everything that can be stored has its words here, in Chinese and in English.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from service.campaigns.calendar.fires import Why
from service.words.phrase import Sentence

KINDS: Mapping[str, Sentence] = {
    "stop_all.stopped": Sentence("全部停发", "Everything was stopped"),
    "stop_all.lifted": Sentence("恢复发送", "Sending was let go on"),
    "campaign.held": Sentence("任务待放行", "The campaign is held"),
    "campaign.released": Sentence("任务已放行", "The campaign was released"),
    "campaign.paused": Sentence("任务已暂停", "The campaign was paused"),
    "campaign.resumed": Sentence("任务已继续", "The campaign was resumed"),
    "campaign.returned": Sentence("任务退回修改", "The campaign was returned"),
    "campaign.reopened": Sentence("任务须重新签发", "The campaign needs a new approval"),
    "campaign.not_firing": Sentence("任务不再发送", "The campaign does not fire"),
    "fire.held": Sentence("这一次待放行", "This fire is held"),
    "fire.released": Sentence("这一次已放行", "This fire was released"),
    "fire.missed": Sentence("这一次错过了", "This fire was missed"),
    "fire.skipped": Sentence("这一次不发", "This fire was skipped"),
    "fire.late": Sentence("这一次迟发", "This fire came late"),
    "fire.leg_left_out": Sentence("这一次缺一方", "This fire of a joint plan went without a leg"),
    "leg.asked": Sentence("联合任务请求发送", "A joint plan asks for a leg"),
    "leg.withdrawn": Sentence("联合任务修改，暂不请求", "A joint plan changes, and asks no more"),
    "leg.taken": Sentence("联合任务的一方已接受", "A leg of a joint plan was taken"),
    "leg.returned": Sentence("联合任务的一方已退回", "A leg of a joint plan was returned"),
    "leg.left_out": Sentence(
        "联合任务结束，一方始终未接受", "A joint plan is over, and nobody took this leg"
    ),
    "leg.cancelled": Sentence(
        "联合任务终止，不再请求", "A joint plan was cancelled, and asks for this leg no more"
    ),
    "channel.shut": Sentence("通道中断", "A channel was shut"),
    "channel.recovered": Sentence("通道恢复", "A channel works again"),
    "text.revised": Sentence("采用的短信有新版本", "A text that was taken over has a new version"),
    "text.corrected": Sentence("采用的短信有更正", "A text that was taken over was corrected"),
    "text.withdrawn": Sentence("采用的短信已收回", "A text that was taken over was withdrawn"),
}

WHYS: Mapping[str, Sentence] = {
    Why.LATE: Sentence("到时超过 15 分钟未能发出", "it could not fire within 15 minutes"),
    Why.STOPPED: Sentence("当时全部停发", "everything was stopped at its time"),
    Why.PERIOD_OVER: Sentence("任务的期限已过", "the campaign's period is over"),
    Why.STILL_SENDS: Sentence("要更正的批次还在发送", "what it corrects still sends"),
    Why.NOT_APPROVED: Sentence("内容与签发的不一致", "it is not what was approved"),
    Why.DRIFTED: Sentence(
        "人数与签发时相差过多", "the rule means another number of people than was approved"
    ),
    Why.EXCHANGED: Sentence(
        "名单里的人与签发时的不同", "its people are others than those of the approval"
    ),
    Why.NEVER_WORD: Sentence(
        "正文含现在的禁用词", "its text has a word that must never be used now"
    ),
    Why.WITHDRAWN: Sentence(
        "提供单位已收回这段文字，不再发送",
        "whoever offered the words has withdrawn them; they are not sent",
    ),
    "corrected": Sentence(
        "提供单位已更正这段文字，请采用新版本",
        "whoever offered the words has corrected them; take the new version over",
    ),
    "revised": Sentence(
        "提供单位有新版本可采用", "whoever offered the words has a new version to be taken over"
    ),
    Why.SUPERSEDED: Sentence("由后面的一次代替", "a later fire took its place"),
    Why.CALENDAR: Sentence("日历使它不发", "the calendar leaves it out"),
    Why.PERSON: Sentence("由人决定", "a person decided so"),
    Why.PAUSED: Sentence("任务当时暂停", "the campaign was paused"),
    Why.HELD: Sentence("任务当时待放行", "the campaign was held"),
    Why.UNAPPROVED: Sentence("任务当时未签发", "the campaign was not approved"),
    Why.DRAFT: Sentence("任务当时是草稿", "the campaign was a draft"),
    Why.GUARD: Sentence("系统发现异常，自动暂停", "something was wrong, and it paused itself"),
    Why.RESTORED: Sentence("数据库是从备份恢复的", "the database was restored from a backup"),
    Why.EDITED: Sentence("任务被修改，须重新签发", "the campaign was edited"),
    Why.RETURNED: Sentence("任务被退回修改", "the campaign was returned"),
    Why.APPROVAL_EXPIRED: Sentence("逾期未签发", "the approval did not come in time"),
    "stray_opt_outs": Sentence(
        "很多人没有收到过该通道的短信却发来退订",
        "many people opt out over a channel over which they had no text",
    ),
    "entered_in_bulk": Sentence(
        "一次或一天内录入的禁发号码很多，须县级另一位管理员认定",
        "many numbers were entered; another administrator of the county lets them count",
    ),
    "leg_asked": Sentence("该单位尚未接受", "its department had not taken it"),
    "leg_returned": Sentence("该单位已退回", "its department had returned it"),
    "leg_left_out": Sentence(
        "联合任务已结束，该单位始终未接受",
        "the joint plan is over, and its department never took it",
    ),
    "no_connection": Sentence(
        "没有连接，正在重连", "there is no connection; it is being made again"
    ),
    "list_not_drawn": Sentence(
        "有短信等候生成名单，由运营商自行发送", "texts wait until a list is drawn"
    ),
    "list_not_fetched": Sentence("名单已生成，尚未取走", "nobody has fetched the list"),
    "list_without_results": Sentence(
        "名单取走已超过 24 小时，没有交回结果", "no results came in 24 hours"
    ),
    "no_next_fire": Sentence(
        "没有下一次发送时间", "it waits for no fire, although one should come"
    ),
    "trouble": Sentence("系统出错，未能发出", "an error keeps it from firing"),
    "clocks_differ": Sentence(
        "程序与数据库的时钟不一致，请校准",
        "the clocks of the program and of the database differ; set them right",
    ),
    "clock_jumped": Sentence(
        "时钟跳变或长时间停机，24 小时后再判断",
        "the clock has jumped, or nothing ran for long; it is looked at again after 24 hours",
    ),
    "needs_agreement": Sentence(
        "时钟跳变后到期的数据过多，须县级管理员确认",
        "much is past its term after the clock has jumped; the county's administrator must agree",
    ),
    "new_channel": Sentence(
        "新建的真实通道，须由另一名管理员确认后才能使用",
        "a new real channel, which carries nothing before another administrator confirms it",
    ),
    "channel_change": Sentence(
        "通道的指向有变更，须由另一名管理员确认",
        "where the channel leads is to change, which another administrator confirms",
    ),
    "grant": Sentence(
        "新增的角色或权限，须由另一名管理员确认",
        "roles or rights that are to be added, which another administrator confirms",
    ),
    "deputy": Sentence(
        "管理员替人指定的代签人，须由缺席的签发人或另一名管理员确认",
        "a deputy named for somebody else, whom the absent approver or another administrator"
        " confirms",
    ),
    "direct_limit": Sentence(
        "直接发送的人数上限，须由另一名县级管理员确认",
        "how many people are sent to directly, which another administrator of the county confirms",
    ),
    "lint_rules": Sentence(
        "放宽检查规则，或增加会拦下在用文字的禁用词，须由另一名县级管理员确认",
        "weaker rules of lint, or never-words that would hold back texts in use, which another"
        " administrator of the county confirms",
    ),
    "lint_sender": Sentence(
        "该单位可写的电话或链接，须由另一名县级管理员确认",
        "numbers or links that the department may write, which another administrator of the county"
        " confirms",
    ),
    "signature": Sentence(
        "单位的短信签名，须由另一名县级管理员确认",
        "a signature of a department, which another administrator of the county confirms",
    ),
    "area_name": Sentence(
        "区域的新名称，须由另一人确认", "a new name of an area, which somebody else confirms"
    ),
    "bootstrap_again": Sentence(
        "有人在服务器上又给了这名管理员一把密钥；原因见名称",
        "somebody made this administrator and a key on the machine; its name says why",
    ),
    "give_password": Sentence(
        "有人在服务器上给了这名管理员新密码",
        "somebody gave this administrator a new password on the machine",
    ),
    "duty_due": Sentence("快到截止时间", "it is due soon"),
    "duty_late": Sentence("已过截止时间，还没有报", "its time is over, and it is not in"),
    "duty_returned": Sentence("被退回，须重报", "it was returned, and is to be handed in again"),
    "new_number": Sentence(
        "上门问到新号码，须另一人确认", "a visit brought a new number; another person confirms it"
    ),
    "text_not_approved": Sentence(
        "须另一人审核，才能单发、接力、张贴",
        "another person approves it before it is sent singly, relayed or put up",
    ),
    "wording_not_approved": Sentence(
        "同文异形的文字有改动，须另一人审核",
        "its words were changed for another place, and another person approves them",
    ),
    "pending_approval": Sentence("等候签发", "it waits for an approval"),
    "second_approval": Sentence(
        "预警已有一人签发，须第二人签发",
        "a warning that one person has approved takes a second approval",
    ),
    "uncertain": Sentence(
        "已交运营商但没有应答，须人认定", "handed off without an answer; a person decides"
    ),
    "inbound_clue": Sentence("群众提供的线索", "a clue that somebody sent"),
    "inbound_opt_out": Sentence("须人看的退订", "an opt-out that a person must look at"),
    "inbound_answer": Sentence("对短信的答复", "an answer to a text"),
    "inbound_other": Sentence("其他来信", "something else that somebody wrote"),
    "receipt_unmatched": Sentence("回执对不上任何短信", "receipts that fit no text"),
    "receipt_ambiguous": Sentence("回执可能属于几条短信", "receipts that may be of several texts"),
    "receipt_conflict": Sentence(
        "回执与已知结果矛盾", "receipts that contradict what is known of their text"
    ),
    "receipt_unreadable": Sentence("回执无法读懂", "receipts that cannot be read"),
    "rejected_rows": Sentence(
        "有几行被拒绝，改好后可再次导入", "rows were rejected; mend them and import them again"
    ),
    "import_failed": Sentence("文件没有读完", "the file was not read to its end"),
    "ends_soon": Sentence(
        "名单即将到期，到期后不再向其中的人发送",
        "the list ends soon; nobody is written to by it afterwards",
    ),
    "vacant_posts": Sentence(
        "岗位上的人已不在名单中，请交接给接任人",
        "whoever had it is off the list; hand it over to somebody",
    ),
    "not_filed": Sentence(
        "所用通道要求报备，尚未报备成功", "a channel takes filed texts alone, and it is not filed"
    ),
    "new_key": Sentence(
        "新的密钥，须由另一名管理员启用", "a new key, which another administrator activates"
    ),
    "given_password": Sentence(
        "管理员给出的密码，须由另一名管理员确认",
        "a password that was given, which another administrator confirms",
    ),
    "carrier": Sentence("运营商要求暂停", "the carrier has it wait"),
    "quota": Sentence("额度用完", "a quota is used up"),
    "down": Sentence("连接不上", "there is no connection"),
    "faults": Sentence("提交大量失败", "too many submits go wrong"),
    "slow": Sentence("运营商应答太慢", "the carrier answers too slowly"),
    "silent": Sentence("收不到回执", "no receipts come"),
}

_OUTCOMES: Mapping[str, Sentence] = {
    "fired": Sentence("已发送", "It took place"),
    "skipped": KINDS["fire.skipped"],
    "held": KINDS["fire.held"],
    "missed": KINDS["fire.missed"],
    "shared": Sentence("由各方分别发送", "Its legs sent it"),
}

_RELEASED = Sentence("经人放行后已发送", "It took place after a person released it")


class Others(NamedTuple):
    """Of so many people of a fire, so many were not in the approved target; None: not counted."""

    others: int | None = None
    people: int | None = None


UNCOUNTED = Others()


def explain_interruption(kind: str, code: str, change: Others = UNCOUNTED) -> Sentence:
    """What happened, and why if a code says it."""
    return _joined(KINDS[kind], code, change)


def explain_fire(
    outcome: str, code: str, *, released: bool = False, change: Others = UNCOUNTED
) -> Sentence:
    """What became of a fire, and why it did not take place by itself in time.

    One that took place in time and has a code was held for that, and released.

    released: it is held no more, for a person let it go, and its run is made next.
    """
    if released:
        return _joined(KINDS["fire.released"], code, change)
    if outcome == "fired" and code not in {"", Why.LATE}:
        return _joined(_RELEASED, code, change)
    return _joined(_OUTCOMES[outcome], code, change)


def explain_shared(left_out: Sequence[str], made_up: Sequence[str]) -> Sentence:
    """What became of a fire of a joint plan. left_out: departments whose legs have not sent it;
    made_up: those that sent it later, once somebody had taken them.
    """
    said = _OUTCOMES["shared"]
    zh, en = [said.zh], [said.en]
    if left_out:
        zh.append(f"缺{'、'.join(left_out)}")
        en.append(f"without {', '.join(left_out)}")
    if made_up:
        zh.append(f"{'、'.join(made_up)}事后补发")
        en.append(f"later also {', '.join(made_up)}")
    return Sentence(f"{'，'.join(zh)}。", f"{'; '.join(en)}.")


def why(code: str, change: Others = UNCOUNTED) -> Sentence:
    """A code in words; one that nobody knows as it is."""
    found = _reason(code, change) or Sentence(code, code)
    return Sentence(f"{found.zh}。", f"{found.en[:1].upper()}{found.en[1:]}.")


def _reason(code: str, change: Others) -> Sentence | None:
    if code != Why.EXCHANGED or change.people is None:
        return WHYS.get(code)
    return Sentence(
        f"{change.people} 人中有 {change.others} 人不在签发时的名单里",
        f"{change.others} of {change.people} people were not in the target that was approved",
    )


def _joined(said: Sentence, code: str, change: Others) -> Sentence:
    found = _reason(code, change)
    if found is None:
        return Sentence(f"{said.zh}。", f"{said.en}.")
    return Sentence(f"{said.zh}：{found.zh}。", f"{said.en}: {found.en}.")
