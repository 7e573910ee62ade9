-- Approvals: two for a warning, deputies for who is away, and a text to the approver's own phone.

-- Who may approve in place of an approver who is away, and for how long.
CREATE TABLE deputies (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    absent_id uuid NOT NULL REFERENCES users,
    deputy_id uuid NOT NULL REFERENCES users,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    reason text NOT NULL,
    named_by uuid NOT NULL REFERENCES users,
    named_at timestamptz NOT NULL,
    ended_by uuid REFERENCES users,
    ended_at timestamptz,
    CHECK (absent_id <> deputy_id),
    CHECK (starts_at < ends_at),
    CHECK ((ended_by IS NULL) = (ended_at IS NULL))
);
CREATE INDEX deputies_deputy ON deputies (deputy_id, ends_at);

ALTER TABLE users ADD COLUMN phone_cipher bytea;

-- approved_for: the absent approver in whose place the approver acted. A seat is the absent one, or
-- the approver where nobody was absent: no seat had a hand in the campaign, and none approves twice.
ALTER TABLE campaigns
    ADD COLUMN approved_for uuid REFERENCES users,
    ADD COLUMN second_approved_by uuid REFERENCES users,
    ADD COLUMN second_approved_for uuid REFERENCES users,
    ADD COLUMN second_approved_at timestamptz,
    ADD CONSTRAINT nobody_names_the_own_approver CHECK (
        approved_for IS NULL OR (
            approved_by IS NOT NULL AND approved_for <> approved_by
            AND approved_for <> submitted_by AND approved_for <> edited_by
            AND approved_for <> text_edited_by AND approved_for <> rule_edited_by)),
    ADD CONSTRAINT second_approved_by_a_third_person CHECK (
        second_approved_by IS NULL OR (
            approved_by IS NOT NULL AND second_approved_at IS NOT NULL
            AND second_approved_by <> approved_by
            AND second_approved_by <> submitted_by AND second_approved_by <> edited_by
            AND second_approved_by <> text_edited_by AND second_approved_by <> rule_edited_by
            AND second_approved_by <> coalesce(approved_for, approved_by)
            AND coalesce(second_approved_for, second_approved_by)
                <> coalesce(approved_for, approved_by)
            AND coalesce(second_approved_for, second_approved_by) <> approved_by)),
    ADD CONSTRAINT nobody_names_the_own_second_approver CHECK (
        second_approved_for IS NULL OR (
            second_approved_by IS NOT NULL AND second_approved_for <> second_approved_by
            AND second_approved_for <> submitted_by AND second_approved_for <> edited_by
            AND second_approved_for <> text_edited_by AND second_approved_for <> rule_edited_by)),
    ADD CONSTRAINT no_seat_edited_the_rule CHECK (
        (approved_for IS NULL OR approved_for <> ALL (rule_editors))
        AND (second_approved_by IS NULL OR second_approved_by <> ALL (rule_editors))
        AND (second_approved_for IS NULL OR second_approved_for <> ALL (rule_editors)));

-- A warning (Anti-Telecom and Online Fraud Law, article 34) comes from the police, and takes two.
CREATE FUNCTION warnings_take_two_of_the_police() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state IN ('scheduled', 'running', 'paused', 'held', 'done') AND EXISTS (
        SELECT FROM template_versions v JOIN templates t ON t.id = v.template_id
        JOIN departments d ON d.id = NEW.department_id
        WHERE v.id = NEW.template_version_id AND t.class = 'warning'
          AND (d.kind <> 'police' OR NEW.second_approved_by IS NULL)) THEN
        RAISE EXCEPTION 'a warning comes from the police and takes two approvers'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'warnings_take_two_of_the_police';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER warnings_take_two_of_the_police BEFORE INSERT OR UPDATE ON campaigns
    FOR EACH ROW EXECUTE FUNCTION warnings_take_two_of_the_police();

-- What a run is for: people, or a test to the approver's own phone. Reports count the rest apart.
ALTER TABLE runs
    ADD COLUMN mode text NOT NULL DEFAULT 'real' CHECK (mode IN ('real', 'drill', 'test'));

CREATE TABLE test_sends (
    run_id uuid PRIMARY KEY REFERENCES runs,
    campaign_id uuid NOT NULL REFERENCES campaigns,
    content_hash bytea NOT NULL,
    user_id uuid NOT NULL REFERENCES users,
    sent_at timestamptz NOT NULL
);
CREATE INDEX test_sends_campaign ON test_sends (campaign_id);
CREATE INDEX test_sends_user ON test_sends (user_id, sent_at);
