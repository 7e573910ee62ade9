"""A rule that was frozen in its canonical form can be longer than anybody may type."""

from datetime import datetime

from service.audience.segments.segment import MAX_CHARACTERS, canonical, parse
from service.campaigns.audience.preview import preview_rule
from service.crypto import Keyring
from service.storage.postgres import Connection
from tests.factories import make_contact, make_team


async def test_a_long_canonical_rule_can_be_previewed(
    conn: Connection, keyring: Keyring, now: datetime
) -> None:
    department = (await make_team(conn, now=now)).department_id
    await make_contact(conn, keyring, department, 1, now=now)
    typed = "运营商=移动" + "且运营商=移动" * 249
    rule = canonical(parse(typed))
    assert len(typed) < MAX_CHARACTERS < len(rule)
    preview = await preview_rule(conn, keyring, department, rule, now)
    assert preview.counts.target == 1
    assert preview.sample[0].name == "王**"
