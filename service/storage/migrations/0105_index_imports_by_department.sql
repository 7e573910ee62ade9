-- Each department's newest imports: for their list, and for those of the last month with rows that
-- were rejected.
SET LOCAL lock_timeout = '5s';

-- Imports are some ten thousands.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX imports_lately ON imports (department_id, created_at, id);
