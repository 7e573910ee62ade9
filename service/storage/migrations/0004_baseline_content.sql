-- What is said: templates with their versions, and what lint lets through.

CREATE TABLE templates (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    department_id uuid NOT NULL REFERENCES departments,
    name text NOT NULL,
    class text NOT NULL CHECK (class IN ('public_interest', 'service', 'warning')),
    topic text NOT NULL DEFAULT '',
    language text NOT NULL DEFAULT 'zh',
    created_at timestamptz NOT NULL,
    UNIQUE (department_id, name)
);

-- A version never changes; an edit is a new one. A direct send takes one that a second person
-- approved.
CREATE TABLE template_versions (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    template_id uuid NOT NULL REFERENCES templates,
    no integer NOT NULL,
    text text NOT NULL,
    -- What lint said to the author.
    lint jsonb NOT NULL,
    edited_by uuid NOT NULL REFERENCES users,
    created_at timestamptz NOT NULL,
    approved_by uuid REFERENCES users,
    -- In whose place a deputy approved.
    approved_for uuid REFERENCES users,
    approved_at timestamptz,
    -- What lint said at the approval.
    approved_lint jsonb,
    UNIQUE (template_id, no),
    CONSTRAINT template_versions_two_persons CHECK (
        approved_by IS NULL OR (
            approved_by <> edited_by AND approved_for IS DISTINCT FROM edited_by
            AND approved_at IS NOT NULL AND approved_lint IS NOT NULL))
);

CREATE FUNCTION template_versions_another_person() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM need_another_person('template_versions_another_person',
        ARRAY[NEW.approved_by, NEW.approved_for], ARRAY[NEW.edited_by], NEW.approved_at);
    RETURN NULL;
END $$;
CREATE TRIGGER template_versions_another_person AFTER INSERT OR UPDATE
    OF approved_by, approved_for ON template_versions
    FOR EACH ROW EXECUTE FUNCTION template_versions_another_person();

-- -------------------------------------------------------------------------------------------- lint

-- What a county changes of lint: levels of rules and lists. Each change is a row; the last one
-- holds. confirmed_by: the second person; NULL: the change made lint stricter, or changed nothing.
CREATE TABLE lint_policies (
    no integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    changes jsonb NOT NULL,
    reason text NOT NULL,
    changed_by uuid REFERENCES users,
    changed_at timestamptz NOT NULL,
    confirmed_by uuid REFERENCES users,
    CONSTRAINT lint_policies_two_persons CHECK (confirmed_by <> changed_by)
);

-- What a department may write beside hotlines; its signatures stand in `signatures`.
CREATE TABLE lint_senders (
    department_id uuid NOT NULL REFERENCES departments,
    no integer NOT NULL,
    landlines text[] NOT NULL,
    links boolean NOT NULL,
    reason text NOT NULL,
    changed_by uuid REFERENCES users,
    changed_at timestamptz NOT NULL,
    confirmed_by uuid REFERENCES users,
    PRIMARY KEY (department_id, no),
    CONSTRAINT lint_senders_two_persons CHECK (confirmed_by <> changed_by)
);

CREATE FUNCTION lint_history_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the history of lint is only added to' USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER lint_policies_stay BEFORE UPDATE OR DELETE ON lint_policies
    FOR EACH ROW EXECUTE FUNCTION lint_history_stays();
CREATE TRIGGER lint_senders_stay BEFORE UPDATE OR DELETE ON lint_senders
    FOR EACH ROW EXECUTE FUNCTION lint_history_stays();

-- What makes lint less strict is proposed by one person and confirmed by another: a county's levels
-- and lists (department_id is NULL), and what a department may write.
CREATE TABLE lint_proposals (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    department_id uuid REFERENCES departments ON DELETE CASCADE,
    content jsonb NOT NULL,
    reason text NOT NULL,
    proposed_by uuid NOT NULL REFERENCES users,
    proposed_at timestamptz NOT NULL,
    confirmed_by uuid REFERENCES users,
    confirmed_at timestamptz,
    -- Another change took its place before it was confirmed.
    replaced_at timestamptz,
    -- What its new never-words would hold back, as it was counted when they were proposed.
    holds jsonb NOT NULL DEFAULT '[]',
    CONSTRAINT lint_proposals_two_persons CHECK (confirmed_by <> proposed_by),
    CHECK ((confirmed_by IS NULL) = (confirmed_at IS NULL)),
    CHECK (confirmed_at IS NULL OR replaced_at IS NULL)
);
CREATE UNIQUE INDEX lint_proposals_one_waits ON lint_proposals (department_id) NULLS NOT DISTINCT
    WHERE confirmed_at IS NULL AND replaced_at IS NULL;

CREATE FUNCTION lint_proposals_another_person() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM need_another_person('lint_proposals_another_person',
        ARRAY[NEW.confirmed_by], ARRAY[NEW.proposed_by], NEW.confirmed_at);
    RETURN NULL;
END $$;
CREATE TRIGGER lint_proposals_another_person AFTER INSERT OR UPDATE OF confirmed_by ON lint_proposals
    FOR EACH ROW WHEN (NEW.confirmed_by IS NOT NULL)
    EXECUTE FUNCTION lint_proposals_another_person();
