"""What a webhook is told, as the receiver reads it."""

import json
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from service.clock import CHINA
from service.delivery.webhooks.webhook import body_of

AT = datetime(2027, 1, 12, 1, 30, tzinfo=UTC)


def test_every_instant_of_a_call_has_the_offset_of_the_county() -> None:
    data = {
        "message_id": "1.1",
        "reason": "",
        "final_at": "2027-01-12T01:29:59.5+00:00",
        "settled_at": None,
    }
    told = json.loads(body_of("message.final", AT, 7, data, CHINA))
    assert told["timestamp"] == "2027-01-12T09:30:00+08:00"
    assert told["data"] == {**data, "final_at": "2027-01-12T09:29:59.500000+08:00"}


def test_the_offset_follows_the_setting() -> None:
    told = json.loads(body_of("webhook.test", AT, 1, {}, ZoneInfo("Asia/Urumqi")))
    assert told["timestamp"] == "2027-01-12T07:30:00+06:00"
