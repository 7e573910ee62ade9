-- What persons enter of numbers that are not to be sent to, a row a request: so that the county sees who stops texts for everybody,
-- and can take it back at once. Entries in bulk are held: their numbers stop nothing until a second person of the county lets them.
CREATE TABLE suppression_entries (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    department_id uuid NOT NULL REFERENCES departments,
    entered_by uuid NOT NULL REFERENCES users,
    entered_at timestamptz NOT NULL,
    reason text NOT NULL,
    classes text[] NOT NULL,
    -- Whose work notices alone an opt-out stops.
    notices_of uuid REFERENCES departments,
    owner text NOT NULL,
    source text NOT NULL,
    note_cipher bytea NOT NULL,
    expires_at timestamptz,
    -- Without those that were stopped so already.
    numbers integer NOT NULL CHECK (numbers > 0),
    held boolean NOT NULL,
    decision text CHECK (decision IN ('count', 'drop')),
    decision_reason text,
    decided_by uuid REFERENCES users,
    decided_at timestamptz,
    CHECK (num_nonnulls(decision, decision_reason, decided_by, decided_at) IN (0, 4)),
    CONSTRAINT suppression_entries_count_once CHECK (held OR decision <> 'count'),
    CONSTRAINT suppression_entries_two_persons CHECK (decision <> 'count' OR decided_by <> entered_by)
);
CREATE INDEX suppression_entries_department ON suppression_entries (department_id, entered_at);
CREATE INDEX suppression_entries_person ON suppression_entries (entered_by, entered_at);
CREATE INDEX suppression_entries_waiting ON suppression_entries (id) WHERE held AND decided_at IS NULL;

CREATE TABLE held_suppressions (
    entry_id uuid NOT NULL REFERENCES suppression_entries ON DELETE CASCADE,
    phone_hash bytea NOT NULL CHECK (octet_length(phone_hash) = 16),
    PRIMARY KEY (entry_id, phone_hash)
);

-- entry_id: by which entry it came. second_entry_id: of another department, which entered it as well: it stays when the first is
-- taken back.
ALTER TABLE suppressions ADD COLUMN entry_id uuid, ADD COLUMN second_entry_id uuid;
CREATE INDEX suppressions_entry ON suppressions (entry_id) WHERE entry_id IS NOT NULL;
CREATE INDEX suppressions_second_entry ON suppressions (second_entry_id) WHERE second_entry_id IS NOT NULL;

-- Whoever lets an entry count counts as nobody who entered it (share_a_person).
CREATE FUNCTION suppression_entries_another_person() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.decision = 'count' THEN
        PERFORM need_another_person('suppression_entries_another_person',
            ARRAY[NEW.decided_by], ARRAY[NEW.entered_by], NEW.decided_at);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER suppression_entries_another_person AFTER UPDATE OF decided_by ON suppression_entries
    FOR EACH ROW EXECUTE FUNCTION suppression_entries_another_person();

-- No number of an entry stops anything while the entry is held.
CREATE FUNCTION suppressions_of_no_held_entry() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM (SELECT DISTINCT entry_id FROM entered) n JOIN suppression_entries e ON e.id = n.entry_id
        WHERE e.held AND e.decision IS DISTINCT FROM 'count')
    THEN
        RAISE EXCEPTION 'these numbers wait for a second person'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'suppressions_of_no_held_entry';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER suppressions_of_no_held_entry AFTER INSERT ON suppressions
    REFERENCING NEW TABLE AS entered FOR EACH STATEMENT EXECUTE FUNCTION suppressions_of_no_held_entry();

DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION suppression_entries_another_person() SET search_path = %I, pg_temp', current_schema());
    EXECUTE format('ALTER FUNCTION suppressions_of_no_held_entry() SET search_path = %I, pg_temp', current_schema());
END $$;
