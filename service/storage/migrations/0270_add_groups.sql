-- Chat groups as a department registers them, and who has owned each: one owner at any instant.
SET LOCAL lock_timeout = '5s';

CREATE TABLE groups (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    department_id uuid NOT NULL REFERENCES departments,
    name text NOT NULL CHECK (name <> ''),
    unit_kind text NOT NULL CHECK (
        unit_kind IN ('building', 'villagers', 'office', 'firm', 'class', 'other')),
    area_code text REFERENCES areas,
    -- The firm, school, college or office whose group it is; '': nobody has said.
    unit text NOT NULL DEFAULT '',
    members integer CHECK (members BETWEEN 0 AND 100000),
    made_by uuid NOT NULL REFERENCES users,
    made_at timestamptz NOT NULL,
    closed_by uuid REFERENCES users,
    closed_at timestamptz,
    -- Since when its owner is on no list any more.
    ownerless_since timestamptz,
    -- By which text the liaison was told of that, or why nobody was.
    told_run_id uuid REFERENCES runs,
    untold text NOT NULL DEFAULT '',
    CONSTRAINT groups_closed CHECK ((closed_at IS NULL) = (closed_by IS NULL)),
    CONSTRAINT groups_ownerless CHECK (closed_at IS NULL OR ownerless_since IS NULL),
    CONSTRAINT groups_told CHECK (
        (ownerless_since IS NOT NULL) = (told_run_id IS NOT NULL OR untold <> ''))
);
CREATE UNIQUE INDEX groups_name ON groups (department_id, area_code, name) NULLS NOT DISTINCT
    WHERE closed_at IS NULL;
CREATE INDEX groups_department ON groups (department_id, id);
CREATE INDEX groups_active ON groups (id) WHERE closed_at IS NULL;
CREATE INDEX groups_without_owner ON groups (department_id, id) WHERE ownerless_since IS NOT NULL;
CREATE INDEX groups_told_run ON groups (told_run_id) WHERE told_run_id IS NOT NULL;

-- Who owned a group from when until when. No foreign key to contacts: a person who is erased leaves
-- an id that says nothing.
-- The history is a chain: each row but the first follows one that ended at the instant at which it
-- begins. One row follows each, one row is the first, and one row has no end: so there is one owner
-- at any instant, and no gap.
CREATE TABLE group_owners (
    group_id uuid NOT NULL REFERENCES groups,
    no integer NOT NULL CHECK (no > 0),
    contact_id uuid NOT NULL,
    since timestamptz NOT NULL,
    until timestamptz,
    -- The end of the row before; NULL: there is none.
    follows timestamptz,
    effective_on date NOT NULL,
    reason text NOT NULL,
    set_by uuid NOT NULL REFERENCES users,
    PRIMARY KEY (group_id, no),
    CONSTRAINT group_owners_span CHECK (until > since),
    CONSTRAINT group_owners_at_once CHECK (follows = since),
    CONSTRAINT group_owners_first CHECK ((no = 1) = (follows IS NULL)),
    CONSTRAINT group_owners_one_now UNIQUE NULLS NOT DISTINCT (group_id, until),
    CONSTRAINT group_owners_one_follows UNIQUE NULLS NOT DISTINCT (group_id, follows),
    CONSTRAINT group_owners_no_gap FOREIGN KEY (group_id, follows)
        REFERENCES group_owners (group_id, until)
);
CREATE INDEX group_owners_contact ON group_owners (contact_id) WHERE until IS NULL;

CREATE FUNCTION groups_one_owner() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    whose uuid := CASE WHEN TG_TABLE_NAME = 'groups' THEN (to_jsonb(NEW) ->> 'id')::uuid
                       ELSE (to_jsonb(coalesce(NEW, OLD)) ->> 'group_id')::uuid END;
    is_active boolean;
BEGIN
    SELECT closed_at IS NULL INTO is_active FROM groups WHERE id = whose;
    IF is_active IS DISTINCT FROM EXISTS (
        SELECT FROM group_owners WHERE group_id = whose AND until IS NULL) THEN
        RAISE EXCEPTION 'an active group has one owner, and a closed one has none'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'groups_one_owner';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER groups_one_owner AFTER INSERT OR UPDATE OF closed_at ON groups
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION groups_one_owner();
CREATE CONSTRAINT TRIGGER group_owners_one AFTER INSERT OR UPDATE OR DELETE ON group_owners
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION groups_one_owner();

-- What was, stays: of a row in the history only its end is written, once.
CREATE FUNCTION group_owners_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR OLD.until IS NOT NULL
       OR (NEW.group_id, NEW.no, NEW.contact_id, NEW.since, NEW.effective_on, NEW.reason, NEW.set_by)
          IS DISTINCT FROM
          (OLD.group_id, OLD.no, OLD.contact_id, OLD.since, OLD.effective_on, OLD.reason, OLD.set_by)
    THEN
        RAISE EXCEPTION 'who owned a group, and since when, does not change any more'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'group_owners_stay';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER group_owners_stay BEFORE UPDATE OR DELETE ON group_owners
    FOR EACH ROW EXECUTE FUNCTION group_owners_stay();

-- The text that tells a department's liaison of groups without an owner.
CREATE TABLE group_texts (
    department_id uuid PRIMARY KEY REFERENCES departments,
    template_id uuid NOT NULL REFERENCES templates,
    set_by uuid NOT NULL REFERENCES users,
    set_at timestamptz NOT NULL
);
