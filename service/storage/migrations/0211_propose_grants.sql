-- What widens what a user may do takes two administrators; a key has at most the rights that its user
-- had when it was activated.

CREATE TABLE grants (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    -- All that the user has once it counts; rights: beyond those of the roles.
    roles text[] NOT NULL,
    rights text[] NOT NULL,
    -- It puts the user back into service.
    enables boolean NOT NULL DEFAULT false,
    -- It takes away only, and counts at once.
    narrows boolean NOT NULL DEFAULT false,
    proposed_by uuid NOT NULL REFERENCES users,
    proposed_at timestamptz NOT NULL,
    confirmed_by uuid REFERENCES users,
    confirmed_at timestamptz,
    -- Another change of what the user may do took its place before it was confirmed.
    replaced_at timestamptz,
    CONSTRAINT grants_two_persons CHECK (
        confirmed_by IS NULL
        OR confirmed_by <> proposed_by AND confirmed_by <> user_id AND NOT narrows),
    CHECK ((confirmed_by IS NULL) = (confirmed_at IS NULL)),
    CHECK (confirmed_at IS NULL OR replaced_at IS NULL)
);
CREATE INDEX grants_user ON grants (user_id, id);
CREATE UNIQUE INDEX grants_one_waits ON grants (user_id)
    WHERE confirmed_at IS NULL AND replaced_at IS NULL AND NOT narrows;

CREATE FUNCTION grants_another_person() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM need_another_person('grants_another_person',
        ARRAY[NEW.confirmed_by], ARRAY[NEW.proposed_by], NEW.confirmed_at);
    RETURN NULL;
END $$;
CREATE TRIGGER grants_another_person AFTER UPDATE OF confirmed_by ON grants
    FOR EACH ROW EXECUTE FUNCTION grants_another_person();

ALTER TABLE users
    -- Made with its roles by whoever runs the machine: nobody was there yet.
    ADD COLUMN bootstrap boolean NOT NULL DEFAULT false,
    -- The grant by which the user has what they have.
    ADD COLUMN grant_id uuid REFERENCES grants;

-- Users from before keep what one person gave them.
UPDATE users SET bootstrap = true;

ALTER TABLE users ADD CONSTRAINT users_rights_by_a_grant CHECK (
    bootstrap OR grant_id IS NOT NULL OR roles = '{}' AND rights = '{}');

-- Whoever gains a role or a right, or comes back into service, does so by a grant of their own that
-- says so and that counts.
CREATE FUNCTION users_gain_by_grants() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NOT NEW.roles <@ OLD.roles OR NOT NEW.rights <@ OLD.rights
            OR OLD.disabled_at IS NOT NULL AND NEW.disabled_at IS NULL)
        AND (NEW.grant_id IS NOT DISTINCT FROM OLD.grant_id OR NOT EXISTS (
            SELECT FROM grants g WHERE g.id = NEW.grant_id AND g.user_id = NEW.id
              AND NEW.roles <@ g.roles AND NEW.rights <@ g.rights
              AND (g.confirmed_at IS NOT NULL OR g.narrows)
              AND (g.enables OR OLD.disabled_at IS NULL OR NEW.disabled_at IS NOT NULL))) THEN
        RAISE EXCEPTION 'rights are given by a grant that a second person has confirmed'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'users_gain_by_grants';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER users_gain_by_grants BEFORE UPDATE OF roles, rights, disabled_at ON users
    FOR EACH ROW EXECUTE FUNCTION users_gain_by_grants();

-- What the user had when the key was activated, by the names of roles and rights; the rights of the
-- roles are among them.
ALTER TABLE keys
    ADD COLUMN held_roles text[],
    ADD COLUMN held_rights text[];

-- Keys from before: what their users have now, by the presets of this day.
UPDATE keys k SET held_roles = u.roles, held_rights = ARRAY(
    SELECT r FROM unnest(u.rights) AS r
    UNION
    SELECT p.r FROM unnest(u.roles) AS role JOIN LATERAL unnest(CASE role
        WHEN 'admin' THEN '{reports,read,import,suppress,write,plan,submit,send:template,send:text,
            webhooks,control,approve,stop_all,calendar,accounts,channels,areas,audit,unmask,
            privacy}'::text[]
        WHEN 'operator' THEN '{reports,read,import,suppress,write,plan,submit,send:template,
            webhooks,control,stop_all,areas}'::text[]
        WHEN 'approver' THEN '{reports,read,approve,control,stop_all}'::text[]
        WHEN 'viewer' THEN '{reports,read}'::text[]
        WHEN 'inspector' THEN '{reports}'::text[] END) AS p (r) ON true)
FROM users u WHERE u.id = k.user_id AND k.activated_at IS NOT NULL;

ALTER TABLE keys ADD CONSTRAINT keys_users_rights CHECK (
    activated_at IS NULL OR held_roles IS NOT NULL AND held_rights IS NOT NULL);
