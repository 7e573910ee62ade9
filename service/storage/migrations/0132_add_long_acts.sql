-- Acts that last: how much is done of all, for whoever looks on from another process. Whoever does
-- the act renews its row over a connection beside its own, and nothing is decided by it: a row whose
-- `lives_until` has passed is of a process that has ended, and says so. That instant is of the
-- database's own clock, as leases are.
CREATE TABLE long_acts (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    -- The operation, as the audit trail calls it, and what it is about.
    action text NOT NULL,
    object_id text,
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    began_at timestamptz NOT NULL,
    -- A process has taken it up.
    begun boolean NOT NULL DEFAULT false,
    done bigint NOT NULL DEFAULT 0,
    total bigint,
    lives_until timestamptz NOT NULL,
    ended_at timestamptz,
    failed boolean NOT NULL DEFAULT false,
    result jsonb
);
CREATE INDEX long_acts_action ON long_acts (action, id);
CREATE INDEX long_acts_user ON long_acts (user_id, id);
CREATE INDEX long_acts_began ON long_acts (began_at);
