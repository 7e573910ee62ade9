-- A signature is what a text's readers take its sender for. One administrator of a county proposes it, another confirms it; those
-- that are there stay. is_default: it becomes the department's own (`departments.signature`), too.
CREATE TABLE signature_proposals (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    department_id uuid NOT NULL REFERENCES departments ON DELETE CASCADE,
    signature text NOT NULL CHECK (signature <> ''),
    is_default boolean NOT NULL,
    proposed_by uuid NOT NULL REFERENCES users,
    proposed_at timestamptz NOT NULL,
    confirmed_by uuid REFERENCES users,
    confirmed_at timestamptz,
    -- It was proposed anew before it was confirmed.
    replaced_at timestamptz,
    CONSTRAINT signature_proposals_two_persons CHECK (confirmed_by <> proposed_by),
    CHECK ((confirmed_by IS NULL) = (confirmed_at IS NULL)),
    CHECK (confirmed_at IS NULL OR replaced_at IS NULL)
);
CREATE UNIQUE INDEX signature_proposals_one_waits ON signature_proposals (department_id, signature)
    WHERE confirmed_at IS NULL AND replaced_at IS NULL;

-- The second person; null: from before there was one, or of the machine (the first department).
ALTER TABLE signatures ADD COLUMN confirmed_by uuid REFERENCES users,
    ADD CONSTRAINT signatures_two_persons CHECK (confirmed_by <> registered_by);

CREATE FUNCTION signature_proposals_another_person() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM need_another_person('signature_proposals_another_person',
        ARRAY[NEW.confirmed_by], ARRAY[NEW.proposed_by], NEW.confirmed_at);
    RETURN NULL;
END $$;
CREATE TRIGGER signature_proposals_another_person AFTER INSERT OR UPDATE ON signature_proposals
    FOR EACH ROW WHEN (NEW.confirmed_by IS NOT NULL) EXECUTE FUNCTION signature_proposals_another_person();

-- What a person registers was proposed by them, for this department, and confirmed by somebody else.
CREATE FUNCTION signatures_were_confirmed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.registered_by IS NOT NULL AND NOT EXISTS (
        SELECT FROM signature_proposals p
        WHERE p.department_id = NEW.department_id AND p.signature = NEW.signature
          AND p.proposed_by = NEW.registered_by AND p.confirmed_by = NEW.confirmed_by)
    THEN
        RAISE EXCEPTION 'nobody confirmed this signature'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'signatures_were_confirmed';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER signatures_were_confirmed
    AFTER INSERT OR UPDATE OF signature, department_id, registered_by, confirmed_by ON signatures
    FOR EACH ROW EXECUTE FUNCTION signatures_were_confirmed();

DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION signature_proposals_another_person() SET search_path = %I, pg_temp', current_schema());
    EXECUTE format('ALTER FUNCTION signatures_were_confirmed() SET search_path = %I, pg_temp', current_schema());
END $$;
