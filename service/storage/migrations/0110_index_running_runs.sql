-- A claim looks at each campaign's run that is running, however many there were.
CREATE INDEX runs_of_campaigns ON runs (id) WHERE campaign_id IS NOT NULL AND state = 'running';
