-- Counting coverage asks for the follow-ups of a run, cancelled ones, too. There is about one a run,
-- so writing waits for a moment.
SET LOCAL lock_timeout = '5s';

-- squawk-ignore require-concurrent-index-creation
CREATE INDEX followups_root ON followups (root_run_id);
