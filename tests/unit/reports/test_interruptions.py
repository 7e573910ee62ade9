"""Every kind and every code that can be stored has its words, in both languages."""

import re
from pathlib import Path
from typing import get_args

import pytest

from service.api.webhooks.webhooks import Told
from service.campaigns.calendar.fires import Why
from service.delivery.webhooks.webhook import WebhookEvent
from service.dispatch.failover import circuit_breaker
from service.reports.interruptions import KINDS, WHYS, explain_fire, explain_interruption, why
from service.storage.migrate import migrations


def test_every_kind_is_an_event_of_webhooks() -> None:
    assert set(KINDS) <= set(WebhookEvent)
    assert set(KINDS) <= set(get_args(Told)), "and anybody may be told of it"
    sql = "".join(migration.sql for migration in migrations())
    assert all(f"'{kind}'" in sql for kind in KINDS)


@pytest.mark.parametrize("code", Why)
def test_every_reason_has_its_words(code: Why) -> None:
    assert code in WHYS


def test_every_cause_of_a_shut_channel_has_its_words() -> None:
    source = Path(circuit_breaker.__file__ or "").read_text()
    causes = set(re.findall(r'return "(\w+)", ', source)) | {"silent"}
    assert len(causes) >= 4
    assert causes <= set(WHYS)


def test_a_sentence_says_what_and_why() -> None:
    assert explain_fire("missed", Why.GUARD).zh == "这一次错过了：系统发现异常，自动暂停。"
    assert explain_fire("fired", "").en == "It took place."
    assert explain_fire("fired", Why.LATE).zh == "已发送：到时超过 15 分钟未能发出。"
    assert explain_fire("fired", Why.STOPPED).en == (
        "It took place after a person released it: everything was stopped at its time."
    )
    assert explain_interruption("stop_all.lifted", "").en == "Sending was let go on."
    assert why("down").en == "There is no connection."
