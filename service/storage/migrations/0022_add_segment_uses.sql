-- Segments that use others: whoever wrote any of them had a hand in the rule. Tags. Both counts of a run.

ALTER TABLE campaigns
    ADD COLUMN rule_editors uuid[] NOT NULL DEFAULT '{}',
    ADD CONSTRAINT approved_by_no_editor_of_the_rule CHECK (
        approved_by IS NULL OR approved_by <> ALL (rule_editors));

-- How many people the rule meant when it was submitted; `target` is the count at the fire.
ALTER TABLE runs ADD COLUMN baseline integer;
UPDATE runs r SET baseline = c.baseline FROM campaigns c WHERE c.id = r.campaign_id;

-- Words that a department gives its people, for segments.
CREATE TABLE contact_tags (
    contact_id uuid NOT NULL REFERENCES contacts ON DELETE CASCADE,
    tag text NOT NULL CHECK (tag <> ''),
    created_at timestamptz NOT NULL,
    PRIMARY KEY (contact_id, tag)
);
