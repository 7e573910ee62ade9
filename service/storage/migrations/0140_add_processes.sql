-- Each process of the program writes here every few seconds that it lives, which version it is and
-- which migrations it knows, and how far its clock is from PostgreSQL's. A row goes with its
-- process; one that was killed leaves it for a day. Small, and rewritten in place: no index but the
-- key, so that every update is HOT.
CREATE TABLE processes (
    id uuid PRIMARY KEY,
    kind text NOT NULL,
    host text NOT NULL,
    pid integer NOT NULL,
    version text NOT NULL,
    -- The last migration that the program of this process knows.
    known text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Seconds before PostgreSQL's clock, and half of the round trip; null: simulated time.
    ahead double precision,
    uncertainty double precision
) WITH (fillfactor = 50);
