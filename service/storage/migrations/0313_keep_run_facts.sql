-- What the report of a settled run counts, kept beside its ledger. Facts say of which state of the
-- ledger they are; where it has changed since, the ledger is counted as before.

-- How often rows of a ledger that had come to an end were changed without being queued again: a late
-- receipt for a text of which nothing was known. The sum of its rows, which receipts only add; the
-- scheduler replaces them by their sum.
CREATE TABLE run_changes (
    run_id uuid NOT NULL,
    changes bigint NOT NULL
);
CREATE INDEX run_changes_of ON run_changes (run_id);

CREATE TABLE run_facts (
    run_id uuid PRIMARY KEY,
    -- The state that they are of: a run that was opened again is settled at another instant.
    settled_at timestamptz NOT NULL,
    changes bigint NOT NULL,
    made_at timestamptz NOT NULL,
    -- What `figures` has; a program reads its own alone.
    shape smallint NOT NULL,
    -- Not jsonb, which has an order of its own.
    figures json NOT NULL,
    -- The numbers of the rows that were not delivered; NULL: so many that the ledger is read instead.
    missed integer[]
);

-- A program from before these tables changes ledgers and does not say so: while one lives, nothing is
-- kept.
CREATE FUNCTION forget_run_facts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM run_facts WHERE run_id IN (SELECT run_id FROM run_facts FOR UPDATE SKIP LOCKED);
    RETURN NULL;
END $$;
CREATE TRIGGER processes_forget_facts AFTER INSERT OR UPDATE ON processes
    FOR EACH ROW WHEN (NEW.known COLLATE "C" < '0313') EXECUTE FUNCTION forget_run_facts();
