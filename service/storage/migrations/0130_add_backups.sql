-- What was copied last, of each kind: `/metrics` says how old it is. Written by the role of the
-- backups (`tocsin backup run`), a row a kind; the service reads it.
CREATE TABLE backups (
    kind text PRIMARY KEY CHECK (kind IN ('full', 'incremental', 'log')),
    ended_at timestamptz NOT NULL,
    octets bigint NOT NULL
);
