-- What the scheduler does at intervals: when it did each last, and which runs it need not look at yet.

-- When a run that is handed off is looked at again, whether anything of it is still open. A look reads
-- its whole ledger, so the looks grow rarer the longer the run has been waiting for its receipts.
ALTER TABLE runs ADD COLUMN settle_at timestamptz;

-- The last turn of each regular act that came to its end, by the database's own clock: it measures the
-- life of a process, as leases do.
CREATE TABLE turns (
    act text PRIMARY KEY,
    ended_at timestamptz NOT NULL,
    seconds real NOT NULL
) WITH (fillfactor = 50);

CREATE INDEX runs_unsettled ON runs (settle_at NULLS FIRST)
    WHERE settled_at IS NULL AND state IN ('sent', 'cancelled');
