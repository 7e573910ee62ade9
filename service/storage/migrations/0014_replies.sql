-- Replies of ours: runs that have no campaign, and which classes a suppression stops.

-- A run is the fire of a campaign, or a direct run to people who are named: for now our replies. It has
-- no rule, and nobody approves it. `confirms` is the reason of the suppressions that its texts pass:
-- a confirmation of an opt-out goes to somebody who has just opted out.
ALTER TABLE runs
    ALTER COLUMN campaign_id DROP NOT NULL,
    ALTER COLUMN rule DROP NOT NULL,
    ADD COLUMN kind text NOT NULL DEFAULT 'campaign' CHECK (kind IN ('campaign', 'reply')),
    ADD COLUMN confirms text CHECK (confirms = 'opted_out'),
    ADD CONSTRAINT a_campaign_has_a_rule CHECK (
        (kind = 'campaign') = (campaign_id IS NOT NULL) AND (kind = 'campaign') = (rule IS NOT NULL)),
    ADD CONSTRAINT only_replies_confirm CHECK (confirms IS NULL OR kind = 'reply');

-- The classes of texts that a suppression stops. What a person may refuse is the least; whoever must
-- not be written to at all is entered with all classes. Nobody can refuse a warning.
ALTER TABLE suppressions
    ADD COLUMN classes text[] NOT NULL DEFAULT '{public_interest,service}' CHECK (
        classes <> '{}' AND classes <@ ARRAY['public_interest', 'service', 'warning']);
UPDATE suppressions SET classes = '{public_interest,service,warning}' WHERE reason <> 'opted_out';
ALTER TABLE suppressions
    ADD CONSTRAINT warnings_cannot_be_refused CHECK (
        reason <> 'opted_out' OR NOT 'warning' = ANY (classes));

-- A text may answer a run that has no campaign.
ALTER TABLE inbound_texts
    DROP CONSTRAINT inbound_texts_check1,
    ADD CONSTRAINT answers_a_message_of_a_run CHECK (
        (run_id IS NULL) = (message_no IS NULL) AND (campaign_id IS NULL OR run_id IS NOT NULL));

-- A reply that is due is settled once: by the run whose ledger it is in, or by why it is not sent.
ALTER TABLE replies_due RENAME COLUMN sent_at TO settled_at;
ALTER TABLE replies_due
    ADD COLUMN run_id uuid REFERENCES runs,
    ADD COLUMN skipped text,
    ADD CONSTRAINT settled_by_a_run_or_a_reason CHECK (
        (settled_at IS NOT NULL) = (run_id IS NOT NULL OR skipped IS NOT NULL)
        AND (run_id IS NULL OR skipped IS NULL));
CREATE INDEX replies_due_text ON replies_due (text_id);
CREATE INDEX replies_due_settled ON replies_due (settled_at) WHERE run_id IS NOT NULL;
