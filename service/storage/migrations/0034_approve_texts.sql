-- Texts that a second person approved, for direct sends; and what approvers said they had read.

ALTER TABLE template_versions
    ADD COLUMN approved_by uuid REFERENCES users,
    -- In whose place a deputy approved.
    ADD COLUMN approved_for uuid REFERENCES users,
    ADD COLUMN approved_at timestamptz,
    -- What lint said at the approval; `lint` is what it said to the author.
    ADD COLUMN approved_lint jsonb,
    ADD CONSTRAINT template_versions_two_persons CHECK (
        approved_by IS NULL OR (
            approved_by <> edited_by AND approved_for IS DISTINCT FROM edited_by
            AND approved_at IS NOT NULL AND approved_lint IS NOT NULL));

-- What lint said of a campaign's text when it was submitted; bound by the hash but for R24.
ALTER TABLE campaigns ADD COLUMN verdict jsonb;

-- The findings of level `review` that an approver said to have read.
CREATE TABLE acknowledgements (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    campaign_id uuid REFERENCES campaigns,
    template_version_id uuid REFERENCES template_versions,
    user_id uuid NOT NULL REFERENCES users,
    findings jsonb NOT NULL,
    at timestamptz NOT NULL,
    CHECK ((campaign_id IS NULL) <> (template_version_id IS NULL))
);
CREATE INDEX acknowledgements_campaign ON acknowledgements (campaign_id);
