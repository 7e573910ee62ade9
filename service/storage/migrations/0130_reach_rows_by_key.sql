-- Plans that do not depend on what statistics know of a run, and texts by phone (decision 0130).

-- Unique as before. The condition is always true, and lets no statement use this index that does not
-- name a phone: for one that names a run and numbers the planner could take it for as good as the key,
-- while statistics knew nothing of the run, and then read the whole run.
CREATE UNIQUE INDEX messages_run_phone ON messages (run_id, phone_hash)
    WHERE phone_hash IS NOT NULL;
ALTER TABLE messages DROP CONSTRAINT messages_run_id_phone_hash_key;

-- Of a run to people who are named one by one (a direct send, a reply, a test). There may be hundreds
-- of these runs a second, so their texts are found by the phone alone; campaigns are few, and theirs
-- are found run by run. It never changes, so updates of the ledger stay on their page (HOT).
ALTER TABLE messages ADD COLUMN direct boolean NOT NULL DEFAULT false;
ALTER TABLE exclusions ADD COLUMN direct boolean NOT NULL DEFAULT false;
UPDATE messages m SET direct = true FROM runs r WHERE r.id = m.run_id AND r.campaign_id IS NULL;
UPDATE exclusions e SET direct = true FROM runs r WHERE r.id = e.run_id AND r.campaign_id IS NULL;
CREATE INDEX messages_direct ON messages (phone_hash) WHERE direct;
CREATE INDEX exclusions_direct ON exclusions (phone_hash) WHERE direct;

-- A run's whole ledger, in stretches of its key: for "all of a run" alone the planner reads all runs,
-- once it knows a few large ones. Bounds that are columns are estimated alike for every run.
CREATE FUNCTION ledger_of(run uuid) RETURNS SETOF messages STABLE LANGUAGE sql AS $$
    SELECT m.*
    FROM generate_series(1, (
            SELECT no FROM messages WHERE run_id = run ORDER BY no DESC LIMIT 1), 1000) AS s(first),
        LATERAL (
            SELECT * FROM messages
            WHERE run_id = run AND no BETWEEN s.first AND s.first + 999 OFFSET 0) m
$$;

-- A run's slices, in the same way.
CREATE FUNCTION slices_of(run uuid) RETURNS SETOF slices STABLE LANGUAGE sql AS $$
    SELECT s.*
    FROM (SELECT 1 AS low, 2147483647 AS high OFFSET 0) b,
        LATERAL (
            SELECT * FROM slices WHERE run_id = run AND no BETWEEN b.low AND b.high OFFSET 0) s
$$;

-- Everybody whom a run left out, in the same way.
CREATE FUNCTION exclusions_of(run uuid) RETURNS SETOF exclusions STABLE LANGUAGE sql AS $$
    SELECT e.*
    FROM (SELECT '\x'::bytea AS low, decode(repeat('ff', 64), 'hex') AS high OFFSET 0) b,
        LATERAL (
            SELECT * FROM exclusions
            WHERE run_id = run AND phone_hash BETWEEN b.low AND b.high OFFSET 0) e
$$;

-- All texts to a phone, of runs that were made since an instant.
CREATE FUNCTION texts_to(phone bytea, since timestamptz) RETURNS SETOF messages
STABLE LANGUAGE sql AS $$
    SELECT m.* FROM messages m, LATERAL (
        SELECT FROM runs WHERE id = m.run_id AND created_at >= since OFFSET 0) r
    WHERE m.phone_hash = phone AND m.direct
    UNION ALL
    SELECT m.*
    FROM campaigns c,
        LATERAL (
            SELECT id FROM runs WHERE campaign_id = c.id AND created_at >= since OFFSET 0) r,
        LATERAL (
            SELECT * FROM messages
            WHERE run_id = r.id AND phone_hash = phone AND NOT direct OFFSET 0) m
$$;
