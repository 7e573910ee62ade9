-- Who may do what: departments, users, their keys, and the idempotency and key-check records.

CREATE TABLE departments (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    name text NOT NULL UNIQUE,
    kind text NOT NULL DEFAULT 'department' CHECK (kind IN ('county', 'carrier', 'police', 'department', 'school')),
    signature text NOT NULL DEFAULT '',
    direct_send_limit integer NOT NULL DEFAULT 1000 CHECK (direct_send_limit >= 0),
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE users (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    department_id uuid NOT NULL REFERENCES departments,
    login text NOT NULL UNIQUE,
    name text NOT NULL,
    roles text[] NOT NULL CHECK (roles <@ ARRAY['admin', 'operator', 'approver', 'viewer']),
    disabled_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- A key acts as its user; it is random, shown once, and stored as a keyed hash.
CREATE TABLE keys (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    user_id uuid NOT NULL REFERENCES users,
    name text NOT NULL,
    token_hash bytea NOT NULL UNIQUE,
    created_by uuid REFERENCES users,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    revoked_at timestamptz
);

-- The answer to a POST, stored in the transaction of its effect.
CREATE TABLE idempotency (
    user_id uuid NOT NULL REFERENCES users,
    key text NOT NULL,
    fingerprint bytea NOT NULL,
    status integer,
    body bytea,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, key)
);

-- Proves that the master key of this start is the one the data were written with.
CREATE TABLE key_checks (
    key_id smallint PRIMARY KEY,
    check_value bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
