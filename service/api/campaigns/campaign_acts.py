"""What the caller could do with a campaign now: each act of a person, and its check."""

from service.api.acts import ActOut, Check, judge
from service.api.http.call import Call
from service.campaigns.approval import approval
from service.campaigns.core.model import Act, Campaign, check_move
from service.campaigns.plans import lifecycle, planning
from service.campaigns.runs import follow_up_runs
from service.dispatch.direct.test_send import check_test


async def campaign_acts(call: Call, campaign: Campaign) -> list[ActOut]:
    """Each act of a person on a campaign, and whether the caller could do it now."""
    found = {"campaign_id": campaign.id}
    return [
        await judge(call, act, operation, found, check)
        for act, (operation, check) in _checks(call, campaign).items()
    ]


def _checks(call: Call, campaign: Campaign) -> dict[str, tuple[str, Check]]:
    """By act: its operation, and its check."""
    conn, user, now, state = call.conn, call.user, call.now, campaign.state
    test_above = call.runtime.settings.test_send_above

    async def move(act: Act) -> None:
        check_move(act, state)

    return {
        "edit": ("edit_campaign", lambda: planning.check_edit(conn, campaign)),
        "submit": ("submit_campaign", lambda: move(Act.SUBMIT)),
        "test_send": ("test_campaign", lambda: check_test(conn, user, campaign, now)),
        "approve": (
            "approve_campaign",
            lambda: approval.check_approve(conn, user, campaign, now, test_above),
        ),
        "return": (
            "return_campaign",
            lambda: approval.check_refuse(conn, user, campaign, Act.RETURN),
        ),
        "reject": (
            "reject_campaign",
            lambda: approval.check_refuse(conn, user, campaign, Act.REJECT),
        ),
        "release": (
            "release_campaign",
            lambda: lifecycle.check_release(conn, user, campaign, now),
        ),
        "pause": ("pause_campaign", lambda: lifecycle.check_pause(conn, campaign)),
        "resume": ("resume_campaign", lambda: lifecycle.check_resume(conn, campaign)),
        "cancel": ("cancel_campaign", lambda: move(Act.CANCEL)),
        "clone": (
            "clone_campaign",
            lambda: planning.need_room(conn, campaign.department_id, lock=False),
        ),
        "top_up": ("top_up", lambda: follow_up_runs.check_top_up(conn, campaign, now)),
    }
