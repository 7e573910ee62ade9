-- To whom: areas, rosters, contacts and their links, imports, suppressions.

CREATE TABLE areas (
    code text PRIMARY KEY CHECK (code ~ '^[0-9]{12}$'),
    name text NOT NULL,
    level text NOT NULL CHECK (level IN ('province', 'city', 'county', 'town', 'village', 'community')),
    parent_code text REFERENCES areas,
    population integer
);

CREATE TABLE rosters (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    department_id uuid NOT NULL REFERENCES departments,
    name text NOT NULL,
    basis text NOT NULL CHECK (basis IN ('duty', 'contract_hr', 'consent', 'emergency')),
    expires_on date NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (department_id, name)
);

-- One person is one phone within one department. The ciphers are copied as they are into the
-- ledger at expansion; the keyed hash is for look-up and uniqueness.
CREATE TABLE contacts (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    department_id uuid NOT NULL REFERENCES departments,
    phone_hash bytea NOT NULL CHECK (octet_length(phone_hash) = 16),
    phone_cipher bytea NOT NULL,
    name_cipher bytea,
    carrier text,
    area_code text REFERENCES areas,
    age_band text CHECK (age_band IN ('14-17', '18-25', '26-40', '41-59', '60-69', '70+')),
    gender text CHECK (gender IN ('f', 'm')),
    synthetic boolean NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    UNIQUE (department_id, phone_hash)
);

CREATE TABLE imports (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    department_id uuid NOT NULL REFERENCES departments,
    created_by uuid NOT NULL REFERENCES users,
    roster text NOT NULL,
    basis text NOT NULL CHECK (basis IN ('duty', 'contract_hr', 'consent', 'emergency')),
    expires_on date NOT NULL,
    file_name text NOT NULL,
    file_bytes bigint NOT NULL,
    file_sha256 bytea NOT NULL,
    encoding text,
    columns jsonb,
    dry_run boolean NOT NULL DEFAULT false,
    state text NOT NULL DEFAULT 'reading' CHECK (state IN ('reading', 'done', 'failed')),
    attempts integer NOT NULL DEFAULT 0, -- a file that breaks every worker is given up
    report jsonb,
    created_at timestamptz NOT NULL,
    finished_at timestamptz
);

-- The waiting file, encrypted, in pieces; deleted once it has been read.
CREATE TABLE import_chunks (
    import_id uuid NOT NULL REFERENCES imports ON DELETE CASCADE,
    no integer NOT NULL,
    cipher bytea NOT NULL,
    PRIMARY KEY (import_id, no)
);

CREATE TABLE import_rejects (
    import_id uuid NOT NULL REFERENCES imports ON DELETE CASCADE,
    sheet text NOT NULL,
    row_no integer NOT NULL,
    code text NOT NULL,
    masked text NOT NULL,
    suggestion_cipher bytea,
    PRIMARY KEY (import_id, sheet, row_no)
);

-- What one row of one file says about one contact.
CREATE TABLE links (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    contact_id uuid NOT NULL REFERENCES contacts ON DELETE CASCADE,
    roster_id uuid NOT NULL REFERENCES rosters ON DELETE CASCADE,
    import_id uuid REFERENCES imports,
    row_no integer,
    digest bytea NOT NULL,
    name_cipher bytea,
    gender text,
    age_band text,
    area_code text REFERENCES areas,
    household_group text NOT NULL DEFAULT '',
    roles text[] NOT NULL,
    org text NOT NULL DEFAULT '',
    org_type text NOT NULL DEFAULT '',
    school text NOT NULL DEFAULT '',
    grade text NOT NULL DEFAULT '',
    class text NOT NULL DEFAULT '',
    guardian_of_cipher bytea,
    carrier text,
    consent_basis text NOT NULL DEFAULT '',
    source_dept text NOT NULL DEFAULT '',
    valid_until text NOT NULL DEFAULT '',
    note_cipher bytea,
    synthetic boolean NOT NULL DEFAULT false, -- what the file says; contacts.synthetic is by number
    UNIQUE (contact_id, roster_id, digest)
);
CREATE INDEX links_roster ON links (roster_id);

-- Numbers never sent to, whoever holds them: a keyed hash that outlives the person.
CREATE TABLE suppressions (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    phone_hash bytea NOT NULL CHECK (octet_length(phone_hash) = 16),
    reason text NOT NULL CHECK (reason IN ('opted_out', 'protected', 'dead_number', 'complaint')),
    note text NOT NULL DEFAULT '',
    created_by uuid REFERENCES users,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    UNIQUE (phone_hash, reason)
);
