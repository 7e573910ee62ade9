"""The start page: what keeps a run is said with the channels on which it does."""

import pytest

from service.api.sending.run_list import RunListedOut
from service.api.sending.run_progress import ChannelProgressOut, HeldOut, ProgressOut
from service.console.today.pages import OpenRun
from service.ledger.reasons import Wait


@pytest.mark.parametrize(("held", "said"), [([3], "(smgp)"), ([1, 3], "")])
def test_a_channel_is_named_where_the_others_go_on(held: list[int], said: str) -> None:
    names = {1: "cmpp", 3: "smgp"}
    channels = [
        ChannelProgressOut.model_construct(channel_id=i, channel=n) for i, n in names.items()
    ]
    run = OpenRun(RunListedOut.model_construct(), ProgressOut.model_construct(channels=channels))
    assert str(run.on(HeldOut.model_construct(code=Wait.NO_CONNECTION, channels=held))) == said
