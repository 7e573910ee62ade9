-- One person is never two: whoever made a key of a user, or gave a password, could act as that user,
-- and counts as that user wherever a second person is asked for.

-- Passwords that came to count, by who gave them. What the user chooses afterwards changes nothing:
-- whoever gave the first one may have chosen it.
CREATE TABLE given_passwords (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    given_by uuid NOT NULL REFERENCES users,
    counted_at timestamptz NOT NULL,
    -- Another password was given since, by somebody else or from the command line.
    ended_at timestamptz
);
CREATE INDEX given_passwords_user ON given_passwords (user_id);
INSERT INTO given_passwords (user_id, given_by, counted_at)
SELECT id, given_by, given_at FROM users WHERE given_confirmed_by IS NOT NULL AND given_by <> id;

CREATE INDEX keys_user ON keys (user_id);

-- Who holds or held a secret of a user, and since when no more.
CREATE VIEW secret_holders AS
SELECT user_id, created_by AS holder_id, least(revoked_at, expires_at) AS ended_at
FROM keys WHERE activated_at IS NOT NULL AND created_by <> user_id
UNION ALL
SELECT user_id, given_by, ended_at FROM given_passwords;

-- Everybody who may have acted as one of these users, themselves too. A secret counts for 92 days
-- after its end: what was done with it may still wait for its second person.
CREATE FUNCTION persons_behind(users uuid[], at timestamptz) RETURNS SETOF uuid
LANGUAGE sql STABLE AS $$
    WITH RECURSIVE persons AS (
        SELECT id FROM unnest(users) AS id WHERE id IS NOT NULL
        UNION
        SELECT h.holder_id FROM persons p JOIN secret_holders h ON h.user_id = p.id
        WHERE h.ended_at IS NULL OR h.ended_at > at - interval '92 days'
    )
    SELECT id FROM persons
$$;

-- The one decision on who is not a second person; the API asks it, and the triggers below do.
CREATE FUNCTION share_a_person(ours uuid[], theirs uuid[], at timestamptz) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT persons_behind(ours, at) INTERSECT SELECT persons_behind(theirs, at))
$$;

CREATE FUNCTION need_another_person(what text, ours uuid[], theirs uuid[], at timestamptz)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF share_a_person(ours, theirs, at) THEN
        RAISE EXCEPTION '%: the second person counts as the first', what
            USING ERRCODE = 'check_violation', CONSTRAINT = what;
    END IF;
END $$;

CREATE FUNCTION campaigns_another_person() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    hands uuid[] := NEW.rule_editors || NEW.text_editors
        || ARRAY[NEW.submitted_by, NEW.edited_by, NEW.text_edited_by, NEW.rule_edited_by];
BEGIN
    IF (NEW.approved_by, NEW.approved_for) IS DISTINCT FROM (OLD.approved_by, OLD.approved_for) THEN
        PERFORM need_another_person('campaigns_another_person',
            ARRAY[NEW.approved_by, NEW.approved_for], hands, NEW.approved_at);
    END IF;
    IF (NEW.second_approved_by, NEW.second_approved_for)
        IS DISTINCT FROM (OLD.second_approved_by, OLD.second_approved_for) THEN
        PERFORM need_another_person('campaigns_another_person',
            ARRAY[NEW.second_approved_by, NEW.second_approved_for],
            hands || ARRAY[NEW.approved_by, NEW.approved_for], NEW.second_approved_at);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER campaigns_another_person AFTER INSERT OR UPDATE
    OF approved_by, approved_for, second_approved_by, second_approved_for ON campaigns
    FOR EACH ROW EXECUTE FUNCTION campaigns_another_person();

CREATE FUNCTION template_versions_another_person() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM need_another_person('template_versions_another_person',
        ARRAY[NEW.approved_by, NEW.approved_for], ARRAY[NEW.edited_by], NEW.approved_at);
    RETURN NULL;
END $$;
CREATE TRIGGER template_versions_another_person AFTER INSERT OR UPDATE
    OF approved_by, approved_for ON template_versions
    FOR EACH ROW EXECUTE FUNCTION template_versions_another_person();

-- Not of a key that takes the place of another: on that grant two persons have agreed.
CREATE FUNCTION keys_another_person() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM need_another_person('keys_another_person',
        ARRAY[NEW.activated_by], ARRAY[NEW.created_by], NEW.activated_at);
    RETURN NULL;
END $$;
CREATE TRIGGER keys_another_person AFTER UPDATE OF activated_by ON keys
    FOR EACH ROW EXECUTE FUNCTION keys_another_person();

CREATE FUNCTION users_another_person() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM need_another_person('users_another_person',
        ARRAY[NEW.given_confirmed_by], ARRAY[NEW.given_by], NEW.given_at);
    RETURN NULL;
END $$;
CREATE TRIGGER users_another_person AFTER UPDATE OF given_confirmed_by ON users
    FOR EACH ROW EXECUTE FUNCTION users_another_person();

CREATE FUNCTION direct_limits_another_person() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM need_another_person('direct_limits_another_person',
        ARRAY[NEW.confirmed_by], ARRAY[NEW.proposed_by], NEW.confirmed_at);
    RETURN NULL;
END $$;
CREATE TRIGGER direct_limits_another_person AFTER UPDATE OF confirmed_by ON direct_limits
    FOR EACH ROW EXECUTE FUNCTION direct_limits_another_person();
