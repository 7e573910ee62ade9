-- Corrections: campaigns that go to those who got a run, or may have, whatever any rule says.
ALTER TABLE campaigns
    ALTER COLUMN segment_id DROP NOT NULL,
    ADD COLUMN corrects uuid REFERENCES runs,
    ADD CONSTRAINT for_a_segment_or_a_run CHECK ((segment_id IS NULL) = (corrects IS NOT NULL)),
    DROP CONSTRAINT campaigns_over_cap_check,
    -- No cap stops a correction, and it counts for none.
    ADD CONSTRAINT campaigns_over_cap_check CHECK (
        over_cap IN ('defer', 'stop') OR (over_cap = 'send' AND corrects IS NOT NULL));

-- A correction fires once.
CREATE UNIQUE INDEX runs_correction ON runs (campaign_id) WHERE relation = 'correction';

-- Whether a text that was taken for failed has arrived after all.
CREATE INDEX receipts_unmatched_conflicts ON receipts_unmatched (channel_id, ref)
    WHERE why = 'conflict';
