-- A claim looks at the oldest direct runs of each department that have something to hand off, however
-- many there are.
CREATE INDEX runs_direct ON runs (department_id, id) WHERE campaign_id IS NULL AND state = 'running';
