"""The table of moves, and what an approval binds."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from service.campaigns.calendar.schedule import Schedule
from service.campaigns.core.model import MOVES, Act, Content, Plan, State, WrongState, check_move

ID = UUID(int=1)
PLAN = Plan("名", ID, ID, None, "normal", Schedule(), None)
CONTENT = Content(ID, "文本", "public_interest", 'role = "finance"', PLAN)


def test_every_act_is_in_the_table_and_every_state_can_be_reached() -> None:
    assert set(MOVES) == set(Act)
    reached = {to for _, results in MOVES.values() for to in results} | {State.DRAFT}
    assert reached == set(State)


def test_nothing_leaves_the_final_states() -> None:
    final = {State.DONE, State.CANCELLED, State.REJECTED}
    leaving = {act for act, (allowed, _) in MOVES.items() if final & allowed}
    assert leaving == {Act.REOPEN}, "a text of a done campaign may take a second channel"
    left = {state for allowed, _ in MOVES.values() for state in allowed}
    assert left == set(State) - final | {State.DONE}


def test_only_an_approval_leads_to_sending() -> None:
    """Without the act of approving, no path leads from a draft to a run."""
    reached = {State.DRAFT}
    for _ in State:
        for act, (allowed, results) in MOVES.items():
            if act is not Act.APPROVE and allowed & reached:
                reached |= results
    assert not reached & {State.SCHEDULED, State.RUNNING, State.HELD, State.PAUSED, State.DONE}


@pytest.mark.parametrize("act", sorted(Act))
def test_a_refusal_names_the_state(act: Act) -> None:
    allowed, _ = MOVES[act]
    for state in State:
        if state in allowed:
            check_move(act, state)
        else:
            with pytest.raises(WrongState, match=state.value.replace("_", " ")):
                check_move(act, state)


@pytest.mark.attack
@pytest.mark.parametrize(
    "changed",
    [
        replace(CONTENT, template_version_id=UUID(int=2)),
        replace(CONTENT, text="另一文本"),
        replace(CONTENT, message_class="warning"),
        replace(CONTENT, rule='role = "owner"'),
        replace(CONTENT, plan=replace(PLAN, channels=(1,))),
        replace(CONTENT, plan=replace(PLAN, priority="urgent")),
        replace(CONTENT, plan=replace(PLAN, max_tps=5)),
        *(
            replace(CONTENT, plan=replace(PLAN, schedule=schedule))
            for schedule in (
                Schedule(late="hold"),
                Schedule(send_hours=(("09:00", "20:00"),)),
                Schedule("once", datetime(2027, 2, 1, tzinfo=UTC)),
            )
        ),
    ],
)
def test_the_hash_binds_everything_that_is_sent(changed: Content) -> None:
    assert changed.hash != CONTENT.hash


def test_the_hash_does_not_bind_the_name_or_the_order_of_channels() -> None:
    renamed = replace(PLAN, name="另名")
    assert replace(CONTENT, plan=renamed).hash == CONTENT.hash
    one, other = (replace(PLAN, channels=ids) for ids in ((1, 2), (2, 1)))
    assert replace(CONTENT, plan=one).hash == replace(CONTENT, plan=other).hash
