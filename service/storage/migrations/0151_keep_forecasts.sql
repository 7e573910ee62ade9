-- What was foretold of each fire when a campaign was submitted: whom it means and whom the caps will take. It is what the
-- approver was told; a preview says how it stands now.
CREATE TABLE submission_forecasts (
    campaign_id uuid PRIMARY KEY REFERENCES campaigns ON DELETE CASCADE,
    submitted_at timestamptz NOT NULL,
    forecast jsonb NOT NULL
);
