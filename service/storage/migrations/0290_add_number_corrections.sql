-- New numbers that were learned at the door: proposals, until somebody who was not there decides.
SET LOCAL lock_timeout = '5s';

CREATE TABLE number_corrections (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    visit_id uuid NOT NULL,
    try_no smallint NOT NULL,
    -- The department whose run it was, and on whose lists the number would be.
    department_id uuid NOT NULL REFERENCES departments,
    -- The new number; NULL once it is forgotten.
    phone_hash bytea CHECK (octet_length(phone_hash) = 16),
    phone_cipher bytea,
    -- superseded: another number of the same person was confirmed; lapsed: it was forgotten before
    -- anybody decided.
    state text NOT NULL DEFAULT 'proposed'
        CHECK (state IN ('proposed', 'confirmed', 'dropped', 'superseded', 'lapsed')),
    decided_by uuid REFERENCES users,
    decided_at timestamptz,
    -- Why it was dropped.
    reason_cipher bytea,
    -- The imports that put the new number on lists.
    import_ids uuid[] NOT NULL DEFAULT '{}',
    FOREIGN KEY (visit_id, try_no) REFERENCES visit_tries,
    UNIQUE (visit_id, try_no),
    CONSTRAINT number_corrections_phone_check
        CHECK ((phone_hash IS NULL) = (phone_cipher IS NULL)),
    CONSTRAINT number_corrections_open_check CHECK (
        (state = 'proposed') = (decided_at IS NULL)
        AND (state <> 'proposed' OR phone_hash IS NOT NULL)),
    CONSTRAINT number_corrections_decided_check CHECK (
        (state IN ('confirmed', 'dropped')) <= (decided_by IS NOT NULL))
);
CREATE INDEX number_corrections_department ON number_corrections (department_id, id);
CREATE INDEX number_corrections_open ON number_corrections (department_id)
    WHERE state = 'proposed';
CREATE INDEX number_corrections_phone ON number_corrections (phone_hash)
    WHERE phone_hash IS NOT NULL;

-- Who was at the door, or wrote it down, confirms no number: nobody puts on a list what they alone
-- say.
CREATE FUNCTION number_corrections_another_person() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE visitors uuid[];
BEGIN
    SELECT ARRAY[by_id, written_by] INTO visitors FROM visit_tries
    WHERE visit_id = NEW.visit_id AND no = NEW.try_no;
    PERFORM need_another_person('number_corrections_another_person',
        ARRAY[NEW.decided_by], visitors, NEW.decided_at);
    RETURN NULL;
END $$;
-- It decides on a second person: no temporary table takes the place of those that it reads.
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION number_corrections_another_person() SET search_path = %I, pg_temp',
                   current_schema());
END $$;
CREATE TRIGGER number_corrections_another_person
    AFTER INSERT OR UPDATE OF state, decided_by, visit_id, try_no ON number_corrections
    FOR EACH ROW WHEN (NEW.state = 'confirmed')
    EXECUTE FUNCTION number_corrections_another_person();
