-- Departments as a tree with what each may use; rights of users, passwords and sessions; keys with
-- a purpose, limits and a second person.

ALTER TABLE departments
    DROP CONSTRAINT departments_kind_check,
    ADD CONSTRAINT departments_kind_check CHECK (kind IN (
        'county', 'police', 'education', 'finance', 'civil_affairs', 'market_regulation', 'culture',
        'town', 'school', 'college', 'carrier', 'department')),
    ADD COLUMN parent_id uuid REFERENCES departments,
    -- The area whose people it may send to; NULL: wherever they are.
    ADD COLUMN area_code text REFERENCES areas,
    -- Whose network it runs.
    ADD COLUMN carrier text CHECK (
        carrier IN ('china_mobile', 'china_unicom', 'china_telecom', 'china_broadnet')),
    -- The leader who answers for it, by name.
    ADD COLUMN leader text NOT NULL DEFAULT '',
    ADD COLUMN classes text[] NOT NULL DEFAULT '{public_interest,service,warning}' CHECK (
        classes <@ ARRAY['public_interest', 'service', 'warning']),
    -- The channels it may use; NULL: all.
    ADD COLUMN channels smallint[],
    -- Parts by the calendar in Beijing; NULL: as many as there are.
    ADD COLUMN daily_quota integer CHECK (daily_quota > 0),
    ADD COLUMN monthly_quota integer CHECK (monthly_quota > 0),
    ADD COLUMN yearly_quota integer CHECK (yearly_quota > 0),
    -- Its quota is used up until then.
    ADD COLUMN held_until timestamptz,
    ADD COLUMN held_why text NOT NULL DEFAULT '',
    -- Requests a minute to the API, of all its keys and people together; NULL: the setting.
    ADD COLUMN requests_per_minute integer CHECK (requests_per_minute > 0),
    ADD CHECK (parent_id <> id);

-- One that was made before it had to name its network keeps its kind.
ALTER TABLE departments
    ADD CONSTRAINT departments_carrier_named CHECK ((kind = 'carrier') = (carrier IS NOT NULL))
    NOT VALID;

CREATE INDEX departments_parent ON departments (parent_id);

-- No department is above itself. One at a time, so that two moves cannot make a ring together.
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

CREATE FUNCTION areas_within(top text) RETURNS SETOF text LANGUAGE sql STABLE AS $$
    WITH RECURSIVE within AS (
        SELECT code FROM areas WHERE code = top
        UNION
        SELECT a.code FROM within w JOIN areas a ON a.parent_code = w.code
    )
    SELECT code FROM within
$$;

-- A signature or an extension number is one department's and nobody else's: lending a way to send
-- is an offence (Anti-Telecom and Online Fraud Law, article 31). It stays taken once given up.
CREATE TABLE signatures (
    signature text PRIMARY KEY CHECK (signature <> ''),
    department_id uuid NOT NULL REFERENCES departments,
    registered_at timestamptz NOT NULL,
    registered_by uuid REFERENCES users,
    ended_at timestamptz
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

INSERT INTO signatures (signature, department_id, registered_at)
SELECT DISTINCT ON (signature) signature, id, created_at
FROM departments WHERE signature <> '' ORDER BY signature, created_at, id;

-- Parts marked as leaving for a department that has a quota.
CREATE TABLE department_use (
    department_id uuid NOT NULL REFERENCES departments ON DELETE CASCADE,
    span text NOT NULL CHECK (span IN ('day', 'month', 'year')),
    since date NOT NULL,
    parts bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (department_id, span, since)
) WITH (fillfactor = 50);

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

ALTER TABLE users
    DROP CONSTRAINT users_roles_check,
    ADD CONSTRAINT users_roles_check CHECK (
        roles <@ ARRAY['admin', 'operator', 'approver', 'viewer', 'inspector']),
    -- Beyond those of the roles; the names stand in service/accounts/model.py.
    ADD COLUMN rights text[] NOT NULL DEFAULT '{}',
    -- An inspector sees the reports of all departments, and nothing else of any.
    ADD CONSTRAINT users_inspector_alone CHECK (
        NOT 'inspector' = ANY (roles) OR cardinality(roles) = 1 AND rights = '{}'),
    ADD COLUMN password_hash text,
    -- Given by somebody else: good for nothing but to choose another.
    ADD COLUMN password_temporary boolean NOT NULL DEFAULT false,
    ADD COLUMN totp_cipher bytea,
    ADD COLUMN totp_confirmed_at timestamptz,
    -- The last 30 seconds whose code was taken: no code is good twice.
    ADD COLUMN totp_step bigint NOT NULL DEFAULT 0,
    ADD COLUMN failed_logins integer NOT NULL DEFAULT 0,
    ADD COLUMN locked_until timestamptz;

CREATE TABLE recovery_codes (
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    code_hash bytea NOT NULL,
    used_at timestamptz,
    PRIMARY KEY (user_id, code_hash)
);

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

-- live: as its user. trial: only to guests of the department. test: nothing is ever sent.
ALTER TABLE keys
    ADD COLUMN mode text NOT NULL DEFAULT 'live' CHECK (mode IN ('live', 'trial', 'test')),
    -- Rights, send:template, send:text; NULL: whatever the user may.
    ADD COLUMN scopes text[],
    ADD COLUMN area_codes text[],
    ADD COLUMN rosters text[],
    -- Addresses it may be used from, as networks; NULL: any.
    ADD COLUMN networks text[],
    ADD COLUMN requests_per_minute integer CHECK (requests_per_minute > 0),
    ADD COLUMN last_used_at timestamptz,
    ADD COLUMN replaces uuid REFERENCES keys,
    -- Made by whoever runs the machine, for the first accounts: nobody is there to be the second.
    ADD COLUMN bootstrap boolean NOT NULL DEFAULT false,
    ADD COLUMN activated_by uuid REFERENCES users,
    ADD COLUMN activated_at timestamptz;

-- Keys from before work on; who made them made them alone.
UPDATE keys SET bootstrap = true, activated_at = created_at;

-- A key works once a second person has activated it.
ALTER TABLE keys ADD CONSTRAINT keys_two_persons CHECK (
    activated_at IS NULL OR bootstrap
    OR created_by IS NOT NULL AND activated_by IS NOT NULL AND activated_by <> created_by);

-- What kind of key planned it; it never becomes more than that.
ALTER TABLE campaigns
    ADD COLUMN key_mode text NOT NULL DEFAULT 'live' CHECK (key_mode IN ('live', 'trial', 'test'));
-- barred: why nobody may get it, found at its expansion.
ALTER TABLE runs
    ADD COLUMN key_mode text NOT NULL DEFAULT 'live' CHECK (key_mode IN ('live', 'trial', 'test')),
    ADD COLUMN barred text;
