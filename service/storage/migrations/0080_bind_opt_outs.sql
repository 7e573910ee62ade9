-- An opt-out of work notices (class service) may be of one department's alone. Publicity stops for the whole
-- county whoever entered it; NULL: notices of every department stop as well, as with all that was entered
-- before.
ALTER TABLE suppressions
    ADD COLUMN department_id uuid REFERENCES departments,
    DROP CONSTRAINT suppressions_phone_hash_reason_key,
    ADD UNIQUE NULLS NOT DISTINCT (phone_hash, reason, department_id),
    ADD CONSTRAINT only_refused_notices_are_one_departments CHECK (
        department_id IS NULL OR reason = 'opted_out' AND 'service' = ANY (classes));

-- Whether the reply to a work notice that asks for no more ends the department's notices by itself; else a
-- person of the department decides.
ALTER TABLE departments ADD COLUMN notices_end_by_reply boolean NOT NULL DEFAULT false;

-- One text confirms that publicity and a department's notices have ended.
ALTER TABLE replies_due
    DROP CONSTRAINT replies_due_kind_check,
    ADD CONSTRAINT replies_due_kind_check CHECK (
        kind IN ('opt_out_confirmed', 'notices_confirmed', 'clue_received'));
