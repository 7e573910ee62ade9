-- Whom each plan means, counted in the background, so that a calendar of all plans counts nobody.

-- rule: the one that was counted; another one is counted anew, and so is an old count. target: null: the
-- rule could not be read. sample: the smallest hashes of those it means, by which two audiences are
-- compared; a hash of a keyed hash, of which no number can be found.
CREATE TABLE audience_estimates (
    campaign_id uuid PRIMARY KEY REFERENCES campaigns ON DELETE CASCADE,
    rule text NOT NULL,
    counted_at timestamptz NOT NULL,
    target int,
    by_carrier jsonb NOT NULL,
    sample bigint[] NOT NULL
);
