-- Posts of lists that were handed over: a unit's liaison, a class's headteacher; and who held each.

-- A post belongs to a list by its name, so it outlives the list's entries and is there again when
-- the list is. unit: as the list said it; unit_key: without capitals and white space.
CREATE TABLE posts (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    department_id uuid NOT NULL REFERENCES departments,
    roster text NOT NULL,
    role text NOT NULL,
    unit text NOT NULL CHECK (unit <> ''),
    unit_key text NOT NULL GENERATED ALWAYS AS (folded(unit)) STORED,
    -- The college, school, firm and office by themselves, folded: below whom a relay puts groups.
    units text[] NOT NULL,
    area_code text REFERENCES areas,
    CONSTRAINT posts_once UNIQUE (department_id, roster, role, unit_key)
);

-- Who held a post from when until when: a chain as `group_owners` is (decision 0580). No foreign
-- key to contacts: a person who is erased leaves an id that says nothing.
CREATE TABLE post_holders (
    post_id uuid NOT NULL REFERENCES posts,
    no integer NOT NULL CHECK (no > 0),
    contact_id uuid NOT NULL,
    since timestamptz NOT NULL,
    until timestamptz,
    -- The end of the row before; NULL: there is none.
    follows timestamptz,
    effective_on date NOT NULL,
    reason text NOT NULL,
    -- Who was told of the hand-over, as the form says it.
    told text NOT NULL DEFAULT '',
    -- The departments whose liaison or leader in charge it made the new holder.
    answers_for uuid[] NOT NULL DEFAULT '{}',
    set_by uuid NOT NULL REFERENCES users,
    PRIMARY KEY (post_id, no),
    CONSTRAINT post_holders_span CHECK (until > since),
    CONSTRAINT post_holders_at_once CHECK (follows = since),
    CONSTRAINT post_holders_first CHECK ((no = 1) = (follows IS NULL)),
    CONSTRAINT post_holders_one_now UNIQUE NULLS NOT DISTINCT (post_id, until),
    CONSTRAINT post_holders_one_follows UNIQUE NULLS NOT DISTINCT (post_id, follows),
    CONSTRAINT post_holders_no_gap FOREIGN KEY (post_id, follows)
        REFERENCES post_holders (post_id, until)
);
CREATE INDEX post_holders_contact ON post_holders (contact_id);
CREATE INDEX post_holders_by ON post_holders (set_by);

CREATE FUNCTION posts_one_holder() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    whose uuid := CASE WHEN TG_TABLE_NAME = 'posts' THEN (to_jsonb(NEW) ->> 'id')::uuid
                       ELSE (to_jsonb(coalesce(NEW, OLD)) ->> 'post_id')::uuid END;
BEGIN
    IF NOT EXISTS (SELECT FROM post_holders WHERE post_id = whose AND until IS NULL) THEN
        RAISE EXCEPTION 'a post has one holder'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'posts_one_holder';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER posts_one_holder AFTER INSERT ON posts
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION posts_one_holder();
CREATE CONSTRAINT TRIGGER post_holders_one AFTER INSERT OR UPDATE OR DELETE ON post_holders
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION posts_one_holder();

-- What was, stays: of a row in the history only its end is written, once.
CREATE FUNCTION post_holders_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR OLD.until IS NOT NULL
       OR (NEW.post_id, NEW.no, NEW.contact_id, NEW.since, NEW.effective_on, NEW.reason, NEW.told,
           NEW.answers_for, NEW.set_by)
          IS DISTINCT FROM
          (OLD.post_id, OLD.no, OLD.contact_id, OLD.since, OLD.effective_on, OLD.reason, OLD.told,
           OLD.answers_for, OLD.set_by)
    THEN
        RAISE EXCEPTION 'who held a post, and since when, does not change any more'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'post_holders_stay';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER post_holders_stay BEFORE UPDATE OR DELETE ON post_holders
    FOR EACH ROW EXECUTE FUNCTION post_holders_stay();
