-- Why and how often each link of a channel was lost, and when the channel may log in again.

-- One row a channel that had a failed login or a link that never worked. `failures`: turns in a row,
-- of all its connections together; from 1 on, one connection at a time logs in, not before
-- `next_at`, which is of the database's own clock as leases are.
CREATE TABLE channel_logins (
    channel_id smallint PRIMARY KEY REFERENCES channels ON DELETE CASCADE,
    failures integer NOT NULL DEFAULT 0 CHECK (failures >= 0),
    next_at timestamptz
) WITH (fillfactor = 50);

-- The last loss of a connection, whoever held it; `losses` since `losing_since`, with no hour
-- without any in between.
ALTER TABLE connections
    ADD COLUMN lost_at timestamptz,
    ADD COLUMN lost_how text CHECK (
        lost_how IN ('lost', 'closed', 'refused', 'unparseable', 'unreachable')),
    ADD COLUMN lost_why text NOT NULL DEFAULT '',
    ADD COLUMN lived_ms bigint,
    ADD COLUMN losses integer NOT NULL DEFAULT 0,
    ADD COLUMN losing_since timestamptz,
    ADD CHECK ((lost_at IS NULL) = (lost_how IS NULL)),
    ADD CHECK ((lost_at IS NULL) = (losing_since IS NULL));
