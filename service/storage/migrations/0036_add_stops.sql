-- Stopping everything at once, and noticing that the database is an older one than it was.

-- While one of these is not lifted, no message is marked as leaving, whatever run it belongs to.
CREATE TABLE stops (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cause text NOT NULL CHECK (cause IN ('person', 'restored')),
    reason text NOT NULL CHECK (reason <> ''),
    stopped_by uuid REFERENCES users,   -- NULL: the scheduler or the command line
    stopped_at timestamptz NOT NULL,
    lifted_by uuid REFERENCES users,
    lifted_at timestamptz,
    lift_reason text,
    CHECK (cause = 'restored' OR stopped_by IS NOT NULL),
    CHECK (num_nulls(lifted_by, lifted_at, lift_reason) IN (0, 3))
);
CREATE UNIQUE INDEX stops_one_at_a_time ON stops ((true)) WHERE lifted_at IS NULL;

-- How often this database has been seen alive, and in which cluster. A witness outside of it remembers
-- the last beat; a database that is behind its witness, or in another cluster, was restored.
CREATE TABLE generation (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    beat bigint NOT NULL,
    cluster text NOT NULL
);
