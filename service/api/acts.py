"""Whether the caller could do something now, and why not: what the act itself would refuse.

Nothing is decided here. Right, key and mode are asked as for a request of that operation, by its
row in the table of operations; then runs the check with which the act itself begins.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from pydantic import Field

from service.api.http.call import Call
from service.api.http.op import Op
from service.api.http.schema import Out, PlainOut
from service.errors import Conflict, Forbidden, Invalid, TocsinError
from service.words.phrase import Phrase

Check = Callable[[], Awaitable[object]]
_OPERATIONS: dict[str, Op] = {}


class ActOut(Out):
    """Something that a person may do, and whether you could do it now."""

    act: str
    allowed: bool
    code: str | None = Field(description="Why not, as the act would be refused; null: it is not.")
    plain: PlainOut | None = Field(description="Why not, for people.")


def take_table(ops: Iterable[Op]) -> None:
    """Learn the operations by their names; the table imports the handlers, which ask here."""
    _OPERATIONS.update({op.name: op for op in ops})


async def judge(
    call: Call, act: str, operation: str, found: Mapping[str, Any], check: Check
) -> ActOut:
    """Whether the caller could do an act now. found: the arguments that its address has."""
    op = _OPERATIONS[operation]
    try:
        if op.right is not None:
            call.user.need(op.right)
        op.need_key(call.key)
        if op.guard is not None:
            await op.guard(call, found)
        await check()
    except (Conflict, Forbidden, Invalid) as refusal:
        return ActOut(act=act, allowed=False, code=refusal.code, plain=_plain(refusal))
    return ActOut(act=act, allowed=True, code=None, plain=None)


def _plain(refusal: TocsinError) -> PlainOut:
    """Why not; sentences that have no Chinese yet are said by their code."""
    said = refusal.message
    zh = said.in_language("zh") if isinstance(said, Phrase) else CHINESE.get(refusal.code)
    return PlainOut(zh=zh or _OTHERWISE, en=str(said))


_OTHERWISE = "现在不能这样做"
CHINESE = {
    "forbidden": "您没有这项权限",
    "out_of_scope": "这个密钥不能这样做，请换用正式密钥",
    "session_needed": "请用密码登录后再做",
    "second_person_needed": "您参与过这个任务，须由另一个人来做",
    "wrong_state": "任务现在的状态不能这样做",
    "expired": "提交已过期，须重新提交",
    "changed_since_submission": "提交之后短信或人群有改动，请退回后重新提交",
    "test_needed": "发送人数多，请先试发到您本人的手机，收到后再签发",
    "text_withdrawn": "短信所用的共享文本已被撤回，请换用新版本",
    "everything_is_stopped": "已全部停发，恢复之前不能放行",
    "leg_of_a_joint_plan": "这是联合任务中您单位的部分，内容和时间由发起单位决定",
    "legs_were_taken": "联合任务已被接受，不能再改；可以终止后复制一份再改",
    "plan_is_paused": "整个联合任务已暂停，由发起单位恢复",
    "too_many_drafts": "本单位的草稿太多，请先终止不用的草稿",
    "no_phone": "请先登记您本人的手机号",
    "phone_not_proved": "请先用验证码证明手机是您本人的",
    "too_many": "24 小时内试发次数已满，请明天再试",
    "out_of_hours": "现在不在服务短信的发送时段内",
    "not_fired": "任务还没有发送过，或之后有改动",
    "no_top_up": "针对新增人员的任务、更正和演练不补发给新增人员",
    "too_old": "发送时间太久，请复制任务后重新签发",
    "corrected": "这一批次已更正，原文不再发送",
    "run_not_sent": "这一批次还在发送，或已被终止",
    "may_not_send": "现在不能发送，请看任务的说明",
    "in_progress": "名单正在写入，请过一分钟再试",
    "wrong_kind_of_run": "这种批次不能这样做",
    "run_still_sends": "要更正的短信还在发送，请先终止任务或等它发完",
    "not_direct": "这不是直接发送；任务要整个终止",
}
"""By the code of a refusal."""
