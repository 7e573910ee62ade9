-- Who may do what: departments and what each may use, users and their secrets, keys, deputies.
--
-- This file and the other *_baseline_* files are the schema of the first version. They are never
-- changed; a change is a new migration (docs/migrations.md). What the service's role may do with
-- the tables is granted by service/storage/roles.py.
--
-- Columns ending in _cipher are encrypted under the data key, columns ending in _hash hold keyed
-- hashes: the keys come from the master key, which the database does not have.

-- ------------------------------------------------------------------------------------- departments

CREATE TABLE departments (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    name text NOT NULL UNIQUE,
    kind text NOT NULL DEFAULT 'department' CHECK (kind IN (
        'county', 'police', 'education', 'finance', 'civil_affairs', 'market_regulation', 'culture',
        'town', 'school', 'college', 'carrier', 'department')),
    signature text NOT NULL DEFAULT '',
    -- How many people its keys may send to in 24 hours without a campaign. Two persons change it:
    -- see direct_limits.
    direct_send_limit integer NOT NULL DEFAULT 1000 CHECK (direct_send_limit >= 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    -- On one channel, within one priority, departments share by weight.
    weight smallint NOT NULL DEFAULT 10 CHECK (weight BETWEEN 1 AND 100),
    parent_id uuid REFERENCES departments,
    -- The area whose people it may send to; NULL: any area. Its foreign key stands beside `areas`.
    area_code text,
    -- Whose network it runs.
    carrier text CHECK (
        carrier IN ('china_mobile', 'china_unicom', 'china_telecom', 'china_broadnet')),
    -- The leader who answers for it, by name.
    leader text NOT NULL DEFAULT '',
    classes text[] NOT NULL DEFAULT '{public_interest,service,warning}' CHECK (
        classes <@ ARRAY['public_interest', 'service', 'warning']),
    -- The channels it may use; NULL: all.
    channels smallint[],
    -- Parts by the calendar in Beijing; NULL: no quota.
    daily_quota integer CHECK (daily_quota > 0),
    monthly_quota integer CHECK (monthly_quota > 0),
    yearly_quota integer CHECK (yearly_quota > 0),
    -- Its quota is used up until then.
    held_until timestamptz,
    held_why text NOT NULL DEFAULT '',
    -- Requests a minute to the API, of all its keys and people together; NULL: the setting.
    requests_per_minute integer CHECK (requests_per_minute > 0),
    -- Whether a reply to a work notice that asks for no more ends the department's notices by
    -- itself; else a person of the department decides.
    notices_end_by_reply boolean NOT NULL DEFAULT false,
    CHECK (parent_id <> id),
    CONSTRAINT departments_carrier_named CHECK ((kind = 'carrier') = (carrier IS NOT NULL))
);
CREATE INDEX departments_parent ON departments (parent_id);

-- No department is above itself. The lock makes moves take turns, so that two moves at once cannot
-- close a ring together.
CREATE FUNCTION check_department_tree() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('department tree', 0));
    IF EXISTS (
        WITH RECURSIVE above AS (
            SELECT NEW.parent_id AS id
            UNION
            SELECT d.parent_id FROM above a JOIN departments d ON d.id = a.id
        )
        SELECT FROM above WHERE id = NEW.id)
    THEN
        RAISE check_violation USING MESSAGE = 'a department cannot be above itself',
            CONSTRAINT = 'departments_tree';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER departments_tree BEFORE UPDATE OF parent_id ON departments
    FOR EACH ROW WHEN (NEW.parent_id IS NOT NULL) EXECUTE FUNCTION check_department_tree();

CREATE FUNCTION departments_below(top uuid) RETURNS SETOF uuid LANGUAGE sql STABLE AS $$
    WITH RECURSIVE below AS (
        SELECT id FROM departments WHERE parent_id = top
        UNION
        SELECT d.id FROM below b JOIN departments d ON d.parent_id = b.id
    )
    SELECT id FROM below
$$;

-- Parts marked as leaving for a department that has a quota.
CREATE TABLE department_use (
    department_id uuid NOT NULL REFERENCES departments ON DELETE CASCADE,
    span text NOT NULL CHECK (span IN ('day', 'month', 'year')),
    since date NOT NULL,
    parts bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (department_id, span, since)
) WITH (fillfactor = 50);

-- ------------------------------------------------------------------------------------------- users

CREATE TABLE users (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    department_id uuid NOT NULL REFERENCES departments,
    login text NOT NULL UNIQUE,
    name text NOT NULL,
    roles text[] NOT NULL CHECK (
        roles <@ ARRAY['admin', 'operator', 'approver', 'viewer', 'inspector']),
    disabled_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    -- The phone that the user says is theirs, for tests of a text; it is proved by a code.
    phone_cipher bytea,
    -- Beyond those of the roles; the names stand in service/accounts.
    rights text[] NOT NULL DEFAULT '{}',
    password_hash text,
    -- Given by somebody else: it only serves to choose another.
    password_temporary boolean NOT NULL DEFAULT false,
    totp_cipher bytea,
    totp_confirmed_at timestamptz,
    -- The last 30 seconds whose code was accepted: no code is accepted twice.
    totp_step bigint NOT NULL DEFAULT 0,
    -- A password that somebody else has given and that does not count yet.
    given_hash text,
    -- Who gave the last one, when, and who confirmed it.
    given_by uuid REFERENCES users,
    given_at timestamptz,
    given_confirmed_by uuid REFERENCES users,
    -- Made with its roles by whoever runs the machine, when there was no administrator yet.
    bootstrap boolean NOT NULL DEFAULT false,
    -- The grant by which the user has these roles and rights. Its foreign key stands beside
    -- `grants`.
    grant_id uuid,
    -- Since when the phone is proved; when the user last proved one, also if it was removed since.
    phone_proved_at timestamptz,
    phone_changed_at timestamptz,
    -- An inspector sees the reports of all departments, and nothing else of any.
    CONSTRAINT users_inspector_alone CHECK (
        NOT 'inspector' = ANY (roles) OR cardinality(roles) = 1 AND rights = '{}'),
    CONSTRAINT users_given_by_two CHECK (
        given_confirmed_by IS NULL OR given_by IS NOT NULL AND given_confirmed_by <> given_by),
    CONSTRAINT users_rights_by_a_grant CHECK (
        bootstrap OR grant_id IS NOT NULL OR roles = '{}' AND rights = '{}'),
    CHECK (phone_proved_at IS NULL OR phone_cipher IS NOT NULL)
);

-- What widens what a user may do takes two administrators.
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

ALTER TABLE users ADD CONSTRAINT users_grant_id_fkey FOREIGN KEY (grant_id) REFERENCES grants;

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

CREATE TABLE recovery_codes (
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    code_hash bytea NOT NULL,
    used_at timestamptz,
    PRIMARY KEY (user_id, code_hash)
);
CREATE INDEX recovery_codes_used ON recovery_codes (used_at) WHERE used_at IS NOT NULL;

-- The codes of the last day that prove a user's phone; the newest of a user counts.
CREATE TABLE phone_codes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users,
    phone_hash bytea NOT NULL,
    code_hash bytea NOT NULL,
    tries integer NOT NULL DEFAULT 0,
    sent_at timestamptz NOT NULL
);
CREATE INDEX phone_codes_user ON phone_codes (user_id, id);
CREATE INDEX phone_codes_phone ON phone_codes (phone_hash, sent_at);
CREATE INDEX phone_codes_sent ON phone_codes (sent_at);

CREATE TABLE sessions (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    token_hash bytea NOT NULL UNIQUE,
    address text NOT NULL DEFAULT '',
    agent text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL,
    last_used_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz
);
CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_expires ON sessions (expires_at);

-- Failed logins are counted by what was typed and by the address, whether there is such a user or
-- not: so nobody learns from a locked login which names exist.
CREATE TABLE login_failures (
    -- Keyed hash of a login or of an address: people type passwords where a login belongs.
    source_hash bytea PRIMARY KEY,
    -- Whose login it is, if it is anybody's.
    user_id uuid REFERENCES users ON DELETE CASCADE,
    failures integer NOT NULL,
    failed_at timestamptz NOT NULL,
    locked_until timestamptz
);
CREATE INDEX login_failures_failed ON login_failures (failed_at);
CREATE INDEX login_failures_user ON login_failures (user_id) WHERE user_id IS NOT NULL;

-- -------------------------------------------------------------------------------------------- keys

-- A key acts as its user. The token is random, shown once, and stored as a keyed hash.
CREATE TABLE keys (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    user_id uuid NOT NULL REFERENCES users,
    name text NOT NULL,
    token_hash bytea NOT NULL UNIQUE,
    created_by uuid REFERENCES users,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    revoked_at timestamptz,
    -- live: as its user. trial: only to guests of the department. test: nothing is ever sent.
    mode text NOT NULL DEFAULT 'live' CHECK (mode IN ('live', 'trial', 'test')),
    -- Rights, send:template, send:text; NULL: whatever the user may.
    scopes text[],
    area_codes text[],
    rosters text[],
    -- Addresses it may be used from, as networks; NULL: any.
    networks text[],
    requests_per_minute integer CHECK (requests_per_minute > 0),
    last_used_at timestamptz,
    replaces uuid REFERENCES keys,
    -- Made by whoever runs the machine, for the first accounts: there is no second person yet.
    bootstrap boolean NOT NULL DEFAULT false,
    activated_by uuid REFERENCES users,
    activated_at timestamptz,
    -- Of a key that renews another and waits: how long the old token works once this one does.
    overlap interval,
    -- What the user had when the key was activated, by the names of roles and rights; the rights of
    -- the roles are among them. A key never has more than that.
    held_roles text[],
    held_rights text[],
    -- A key works once a second person has activated it.
    CONSTRAINT keys_two_persons CHECK (
        activated_at IS NULL OR bootstrap
        OR created_by IS NOT NULL AND activated_by IS NOT NULL AND activated_by <> created_by),
    CONSTRAINT keys_users_rights CHECK (
        activated_at IS NULL OR held_roles IS NOT NULL AND held_rights IS NOT NULL)
);
CREATE INDEX keys_user ON keys (user_id);

-- Whom a trial key may reach.
CREATE TABLE guests (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    department_id uuid NOT NULL REFERENCES departments,
    phone_hash bytea NOT NULL,
    phone_cipher bytea NOT NULL,
    note text NOT NULL DEFAULT '',
    created_by uuid NOT NULL REFERENCES users,
    created_at timestamptz NOT NULL,
    UNIQUE (department_id, phone_hash)
);

-- ---------------------------------------------------------------------------------- second persons

-- One person is never two: whoever made a key of a user, or gave a password, could act as that
-- user, and counts as that user wherever a second person is asked for (decision 0210).

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

-- The one decision on who is not a second person. The API asks it, and so do the triggers named
-- *_another_person, which stand beside the tables that they guard.
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

-- These triggers run on INSERT as well: whoever writes the tables could else insert a row that is
-- confirmed already, by a second person who counts as the first.

CREATE FUNCTION users_another_person() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM need_another_person('users_another_person',
        ARRAY[NEW.given_confirmed_by], ARRAY[NEW.given_by], NEW.given_at);
    RETURN NULL;
END $$;
CREATE TRIGGER users_another_person AFTER INSERT OR UPDATE OF given_confirmed_by ON users
    FOR EACH ROW WHEN (NEW.given_confirmed_by IS NOT NULL) EXECUTE FUNCTION users_another_person();

CREATE FUNCTION grants_another_person() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM need_another_person('grants_another_person',
        ARRAY[NEW.confirmed_by], ARRAY[NEW.proposed_by], NEW.confirmed_at);
    RETURN NULL;
END $$;
CREATE TRIGGER grants_another_person AFTER INSERT OR UPDATE OF confirmed_by ON grants
    FOR EACH ROW WHEN (NEW.confirmed_by IS NOT NULL) EXECUTE FUNCTION grants_another_person();

-- Only on UPDATE: a key that takes the place of another is inserted as activated, and on that grant
-- two persons have agreed.
CREATE FUNCTION keys_another_person() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM need_another_person('keys_another_person',
        ARRAY[NEW.activated_by], ARRAY[NEW.created_by], NEW.activated_at);
    RETURN NULL;
END $$;
CREATE TRIGGER keys_another_person AFTER UPDATE OF activated_by ON keys
    FOR EACH ROW EXECUTE FUNCTION keys_another_person();

-- ---------------------------------------------------------------------------------------- deputies

-- Who may approve in place of an approver who is away, and for how long.
CREATE TABLE deputies (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    absent_id uuid NOT NULL REFERENCES users,
    deputy_id uuid NOT NULL REFERENCES users,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    reason text NOT NULL,
    named_by uuid NOT NULL REFERENCES users,
    named_at timestamptz NOT NULL,
    ended_by uuid REFERENCES users,
    ended_at timestamptz,
    -- Named by somebody else than the absent approver: it widens what the deputy may do.
    needs_second boolean NOT NULL DEFAULT false,
    confirmed_by uuid REFERENCES users,
    confirmed_at timestamptz,
    CHECK (absent_id <> deputy_id),
    CHECK (starts_at < ends_at),
    CHECK ((ended_by IS NULL) = (ended_at IS NULL)),
    CONSTRAINT deputies_two_persons CHECK (
        confirmed_by IS NULL OR confirmed_by <> named_by AND confirmed_by <> deputy_id),
    CHECK ((confirmed_by IS NULL) = (confirmed_at IS NULL))
);
CREATE INDEX deputies_deputy ON deputies (deputy_id, ends_at);

CREATE FUNCTION deputies_for_others() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.needs_second := NEW.named_by <> NEW.absent_id;
    RETURN NEW;
END $$;
CREATE TRIGGER deputies_for_others BEFORE INSERT ON deputies
    FOR EACH ROW EXECUTE FUNCTION deputies_for_others();

CREATE FUNCTION deputies_another_person() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM need_another_person('deputies_another_person',
        ARRAY[NEW.confirmed_by], ARRAY[NEW.named_by], NEW.confirmed_at);
    RETURN NULL;
END $$;
CREATE TRIGGER deputies_another_person AFTER INSERT OR UPDATE OF confirmed_by ON deputies
    FOR EACH ROW WHEN (NEW.confirmed_by IS NOT NULL) EXECUTE FUNCTION deputies_another_person();

-- ------------------------------------------------------------------------ limits of direct sending

-- One person proposes another departments.direct_send_limit, a second one confirms it.
CREATE TABLE direct_limits (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    department_id uuid NOT NULL REFERENCES departments ON DELETE CASCADE,
    people integer NOT NULL CHECK (people >= 0),
    reason text NOT NULL,
    proposed_by uuid NOT NULL REFERENCES users,
    proposed_at timestamptz NOT NULL,
    confirmed_by uuid REFERENCES users,
    confirmed_at timestamptz,
    -- Another proposal took its place before it was confirmed.
    replaced_at timestamptz,
    CONSTRAINT direct_limits_two_persons CHECK (confirmed_by <> proposed_by),
    CHECK ((confirmed_by IS NULL) = (confirmed_at IS NULL)),
    CHECK (confirmed_at IS NULL OR replaced_at IS NULL)
);
CREATE INDEX direct_limits_department ON direct_limits (department_id, id);
CREATE UNIQUE INDEX direct_limits_one_waits ON direct_limits (department_id)
    WHERE confirmed_at IS NULL AND replaced_at IS NULL;

CREATE FUNCTION direct_limits_another_person() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM need_another_person('direct_limits_another_person',
        ARRAY[NEW.confirmed_by], ARRAY[NEW.proposed_by], NEW.confirmed_at);
    RETURN NULL;
END $$;
CREATE TRIGGER direct_limits_another_person AFTER INSERT OR UPDATE OF confirmed_by ON direct_limits
    FOR EACH ROW WHEN (NEW.confirmed_by IS NOT NULL) EXECUTE FUNCTION direct_limits_another_person();

-- ----------------------------------------------------------------------- signatures and extensions

-- A signature or an extension number is one department's and nobody else's: lending a way to send
-- is an offence (Anti-Telecom and Online Fraud Law, article 31). It stays taken once given up.
CREATE TABLE signatures (
    signature text PRIMARY KEY CHECK (signature <> ''),
    department_id uuid NOT NULL REFERENCES departments,
    registered_at timestamptz NOT NULL,
    registered_by uuid REFERENCES users,
    ended_at timestamptz,
    -- The second person; NULL: registered by whoever runs the machine (the first department).
    confirmed_by uuid REFERENCES users,
    CONSTRAINT signatures_two_persons CHECK (confirmed_by <> registered_by)
);
CREATE INDEX signatures_department ON signatures (department_id);

CREATE TABLE extensions (
    extension text PRIMARY KEY CHECK (extension ~ '^[0-9]{1,20}$'),
    department_id uuid NOT NULL REFERENCES departments,
    registered_at timestamptz NOT NULL,
    registered_by uuid REFERENCES users,
    ended_at timestamptz
);
CREATE INDEX extensions_department ON extensions (department_id);

-- Readers take a signature for the sender of a text: one administrator of a county proposes it,
-- another confirms it. is_default: it becomes departments.signature as well.
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

CREATE FUNCTION signature_proposals_another_person() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM need_another_person('signature_proposals_another_person',
        ARRAY[NEW.confirmed_by], ARRAY[NEW.proposed_by], NEW.confirmed_at);
    RETURN NULL;
END $$;
CREATE TRIGGER signature_proposals_another_person AFTER INSERT OR UPDATE ON signature_proposals
    FOR EACH ROW WHEN (NEW.confirmed_by IS NOT NULL)
    EXECUTE FUNCTION signature_proposals_another_person();

-- What a person registers was proposed by them, for this department, and confirmed by somebody
-- else.
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

-- ------------------------------------------------------------------------- answers kept, key check

-- The answer to a POST, stored in the transaction of its effect (Idempotency-Key). caller_id: the
-- first key of the grant, or the user who has logged in. body NULL: the answer was for once.
CREATE TABLE idempotency (
    user_id uuid NOT NULL REFERENCES users,
    key text NOT NULL,
    fingerprint bytea NOT NULL,
    status integer,
    body bytea,
    created_at timestamptz NOT NULL,
    caller_id uuid NOT NULL,
    PRIMARY KEY (caller_id, key)
);
CREATE INDEX idempotency_created ON idempotency (created_at);

-- Proves that the master key of this start is the one that the data were written with.
CREATE TABLE key_checks (
    key_id smallint PRIMARY KEY,
    check_value bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
