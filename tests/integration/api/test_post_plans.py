"""A long list with many posts: what waits, and its page, read each entry a few times at most."""

import pytest

from service.relays.posts import post_store
from service.relays.posts.post_store import NewHolder
from service.storage.postgres import transaction
from tests.harness.chats import add_person
from tests.harness.plans import watch_plans
from tests.harness.posts import ROSTER, add_post
from tests.harness.work import work_of
from tests.integration.api.conftest import Api

OPERATOR = ("county", "operator")
ENTRIES, POSTS = 3_000, 100

_PEOPLE = """
INSERT INTO contacts (department_id, phone_hash, phone_cipher, name_cipher, synthetic, created_at,
                      updated_at)
SELECT c.department_id, decode(md5(n::text), 'hex'), c.phone_cipher, c.name_cipher, true,
       c.created_at, c.created_at
FROM contacts c, generate_series(1, $2) n WHERE c.id = $1
"""
_ENTRIES = """
INSERT INTO links (contact_id, roster_id, digest, roles, school, class)
SELECT c.id, r.id, '\\x00', '{class_monitor}', '旌德中学', row_number() OVER () || '班'
FROM rosters r JOIN contacts c ON c.department_id = r.department_id AND c.phone_hash <> ''
WHERE r.name = $1 AND NOT EXISTS (SELECT FROM links l WHERE l.contact_id = c.id)
"""
_POSTS = """
INSERT INTO posts (department_id, roster, role, unit, units)
SELECT department_id, name, 'class_monitor', '高' || n || '班', ARRAY['高' || n || '班']
FROM rosters, generate_series(1, $2) n WHERE name = $1 RETURNING id
"""


@pytest.mark.slow
@pytest.mark.fresh
async def test_a_long_list_is_not_read_for_each_post(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add_post(api)
    county, user = api.teams["county"].department_id, api.teams["county"].operator.id
    async with transaction(api.runtime.pool) as conn:
        person = await add_person(api, conn, county)
        await conn.execute("UPDATE rosters SET name = $1", ROSTER)
        await conn.execute(_PEOPLE, person, ENTRIES)
        await conn.execute(_ENTRIES, ROSTER)
        made = await conn.fetch(_POSTS, ROSTER, POSTS)
        people = await conn.fetch("SELECT contact_id FROM links LIMIT $1", POSTS)
        for post, holder in zip(made, people, strict=True):
            at = api.clock.at
            new = NewHolder(holder["contact_id"], at, at.date(), "轮岗", "", (), user)
            await post_store.append_holder(conn, post["id"], new)
        await conn.execute("ANALYZE")
    worst = watch_plans(monkeypatch, {"links"}, {"post_holders"})
    assert (await work_of(api, OPERATOR))["vacant_posts"]["count"] == 0
    listed = await api.get(f"/rosters/{ROSTER}/posts", OPERATOR)
    assert listed.status == 200, listed.body
    assert worst, "no statement was looked at"
    assert {key: rows for key, rows in worst.items() if rows > 3 * ENTRIES} == {}
