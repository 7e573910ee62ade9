-- A large ledger is written in stretches of the phone hash, a transaction each
-- (docs/decisions/0486-a-large-ledger-is-written-in-stretches.md).
--
-- The old processes go on. One of them that finds a ledger half written breaks off at its key and
-- leaves it as it is; a new one goes on with it.
SET LOCAL lock_timeout = '5s';

-- There from the first stretch to the last, and gone then. at: when it began; everybody is judged
-- by this instant. written: so many stretches are; target, excluded: the people of these.
CREATE TABLE expansions (
    run_id uuid PRIMARY KEY REFERENCES runs ON DELETE CASCADE,
    at timestamptz NOT NULL,
    stretches smallint NOT NULL CHECK (stretches > 1),
    written smallint NOT NULL DEFAULT 0 CHECK (written BETWEEN 0 AND stretches),
    target integer NOT NULL DEFAULT 0,
    excluded integer NOT NULL DEFAULT 0
);

-- A part of a run's ledger, in the way of ledger_of: statistics know nothing of a run just written.
CREATE FUNCTION ledger_between(run uuid, low integer, high integer) RETURNS SETOF messages
STABLE LANGUAGE sql AS $$
    SELECT m.*
    FROM generate_series(low, high, 1000) AS s(first),
        LATERAL (
            SELECT * FROM messages
            WHERE run_id = run AND no BETWEEN s.first AND least(s.first + 999, high) OFFSET 0) m
$$;
