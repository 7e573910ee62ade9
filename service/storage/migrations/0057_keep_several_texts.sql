-- Several texts of one campaign: one after the other to the same people, or one a fire in turn.

-- The first text stays in the campaign itself. after_days: how many days after the fire the text goes to
-- the same people; null in all of them: the texts take turns. verdict: what lint said at submission.
CREATE TABLE campaign_texts (
    campaign_id uuid NOT NULL REFERENCES campaigns ON DELETE CASCADE,
    no smallint NOT NULL CHECK (no BETWEEN 2 AND 20),
    template_version_id uuid NOT NULL REFERENCES template_versions,
    after_days smallint CHECK (after_days BETWEEN 1 AND 366),
    verdict jsonb,
    PRIMARY KEY (campaign_id, no)
);

-- Who wrote any of the texts that were submitted; none of them has a seat in the approval.
ALTER TABLE campaigns
    ADD COLUMN text_editors uuid[] NOT NULL DEFAULT '{}',
    ADD CONSTRAINT writers_of_texts_have_no_seat CHECK (
        (approved_by IS NULL OR approved_by <> ALL (text_editors))
        AND (approved_for IS NULL OR approved_for <> ALL (text_editors))
        AND (second_approved_by IS NULL OR second_approved_by <> ALL (text_editors))
        AND (second_approved_for IS NULL OR second_approved_for <> ALL (text_editors)));

-- Which of its campaign's texts a run sends, counted from 1, or a test tries.
ALTER TABLE runs ADD COLUMN text_no smallint NOT NULL DEFAULT 1;
ALTER TABLE test_sends ADD COLUMN text_no smallint NOT NULL DEFAULT 1;
