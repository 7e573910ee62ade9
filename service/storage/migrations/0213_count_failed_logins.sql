-- Logins that went wrong are counted by what was typed and by the address, whether there is such a
-- user or not: so nobody learns from a login that is shut which names exist.
CREATE TABLE login_failures (
    -- Keyed hash of a login or of an address: people type passwords where a login belongs.
    source_hash bytea PRIMARY KEY,
    -- Whose login it is, if it is anybody's.
    user_id uuid REFERENCES users ON DELETE CASCADE,
    failures integer NOT NULL,
    failed_at timestamptz NOT NULL,
    locked_until timestamptz
);
CREATE INDEX login_failures_failed ON login_failures (failed_at);
CREATE INDEX login_failures_user ON login_failures (user_id) WHERE user_id IS NOT NULL;
ALTER TABLE users DROP COLUMN failed_logins, DROP COLUMN locked_until;
