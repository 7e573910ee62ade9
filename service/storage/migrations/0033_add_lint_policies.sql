-- What a county changes of lint: levels of rules and lists. Each change is a row; the last one holds.
CREATE TABLE lint_policies (
    no integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    changes jsonb NOT NULL,
    reason text NOT NULL,
    changed_by uuid REFERENCES users,
    changed_at timestamptz NOT NULL
);

-- What a department may write beside hotlines; its signatures stand in the table of that name.
CREATE TABLE lint_senders (
    department_id uuid NOT NULL REFERENCES departments,
    no integer NOT NULL,
    landlines text[] NOT NULL,
    links boolean NOT NULL,
    reason text NOT NULL,
    changed_by uuid REFERENCES users,
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (department_id, no)
);

CREATE FUNCTION lint_history_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the history of lint is only added to' USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER lint_policies_stay BEFORE UPDATE OR DELETE ON lint_policies
    FOR EACH ROW EXECUTE FUNCTION lint_history_stays();
CREATE TRIGGER lint_senders_stay BEFORE UPDATE OR DELETE ON lint_senders
    FOR EACH ROW EXECUTE FUNCTION lint_history_stays();
