-- Whether the clock may be trusted with deleting what is past its term; one row.
CREATE TABLE retention_watch (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    beat_at timestamptz,                -- when the service last knew that it lived
    jumped_from timestamptz,            -- the last beat before the clock jumped ahead; NULL: it has not
    jumped_at timestamptz,              -- the first beat after it
    held_for text CHECK (held_for IN ('clocks_differ', 'clock_jumped', 'needs_agreement')),
    held_since timestamptz,             -- by PostgreSQL's clock
    due jsonb NOT NULL DEFAULT '{}',    -- by kind, what would go and of how much, once that is asked
    agreed_by uuid REFERENCES users,
    agreed_at timestamptz,
    CHECK ((jumped_from IS NULL) = (jumped_at IS NULL)),
    CHECK ((held_for IS NULL) = (held_since IS NULL)),
    CHECK ((agreed_by IS NULL) = (agreed_at IS NULL))
);
INSERT INTO retention_watch DEFAULT VALUES;
