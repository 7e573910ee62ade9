-- Indexes for what is asked often of tables that grow: a plan's record of moves, at each look at it; and a
-- department's own webhooks, beside any number of callback_urls, at each event.

CREATE INDEX campaign_moves_campaign ON campaign_moves (campaign_id, id);
CREATE INDEX webhooks_own ON webhooks (department_id) WHERE NOT run_calls_back AND deleted_at IS NULL;
