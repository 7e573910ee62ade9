-- The list of runs over all campaigns asks each department for its newest ones. Replies are not in
-- it: there may be hundreds of them a minute.
SET LOCAL lock_timeout = '5s';

-- As long as it takes to read the runs once, no run begins and none is moved.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX runs_lately ON runs (department_id, created_at, id) WHERE kind <> 'reply';
