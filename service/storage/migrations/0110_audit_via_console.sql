-- What was done on a page of the console says so in its audit entry.
SET LOCAL lock_timeout = '5s';

-- A wider check takes its place in the same transaction.
-- squawk-ignore ban-drop-constraint
ALTER TABLE audit_entries DROP CONSTRAINT audit_entries_via_check;
ALTER TABLE audit_entries ADD CONSTRAINT audit_entries_via_check
    CHECK (via IN ('api', 'console', 'cli', 'system')) NOT VALID;
