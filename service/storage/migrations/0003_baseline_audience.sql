-- Who can be sent to: areas, number blocks, rosters, contacts and their links, imports,
-- suppressions, segments.

-- ------------------------------------------------------------------------------------------- areas

-- From province to group. Villages are not published any more, and groups never were: users keep
-- them. A group's code is its village's and three more digits. The program's own list does not undo
-- what a user changed.
CREATE TABLE areas (
    code text PRIMARY KEY CHECK (code ~ '^[0-9]{12}([0-9]{3})?$'),
    name text NOT NULL,
    level text NOT NULL CHECK (
        level IN ('province', 'city', 'county', 'town', 'village', 'community', 'group')),
    parent_code text REFERENCES areas,
    population integer,
    edited_at timestamptz,
    edited_by uuid REFERENCES users,
    CONSTRAINT areas_group_check CHECK ((level = 'group') = (length(code) = 15))
);

ALTER TABLE departments
    ADD CONSTRAINT departments_area_code_fkey FOREIGN KEY (area_code) REFERENCES areas;

CREATE FUNCTION areas_within(top text) RETURNS SETOF text LANGUAGE sql STABLE AS $$
    WITH RECURSIVE within AS (
        SELECT code FROM areas WHERE code = top
        UNION
        SELECT a.code FROM within w JOIN areas a ON a.parent_code = w.code
    )
    SELECT code FROM within
$$;

-- An area's name stands in texts that others approved: one person proposes another name, a second
-- one confirms it.
CREATE TABLE area_renames (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    code text NOT NULL REFERENCES areas,
    name text NOT NULL,
    proposed_by uuid NOT NULL REFERENCES users,
    proposed_at timestamptz NOT NULL,
    confirmed_by uuid REFERENCES users,
    confirmed_at timestamptz,
    -- Another name, or the old one again, took its place before it was confirmed.
    replaced_at timestamptz,
    CONSTRAINT area_renames_two_persons CHECK (confirmed_by <> proposed_by),
    CHECK ((confirmed_by IS NULL) = (confirmed_at IS NULL)),
    CHECK (confirmed_at IS NULL OR replaced_at IS NULL)
);
CREATE UNIQUE INDEX area_renames_one_waits ON area_renames (code)
    WHERE confirmed_at IS NULL AND replaced_at IS NULL;
CREATE INDEX area_renames_code ON area_renames (code);

CREATE FUNCTION area_renames_another_person() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM need_another_person('area_renames_another_person',
        ARRAY[NEW.confirmed_by], ARRAY[NEW.proposed_by], NEW.confirmed_at);
    RETURN NULL;
END $$;
CREATE TRIGGER area_renames_another_person AFTER INSERT OR UPDATE OF confirmed_by ON area_renames
    FOR EACH ROW WHEN (NEW.confirmed_by IS NOT NULL) EXECUTE FUNCTION area_renames_another_person();

-- ----------------------------------------------------------------------------------- number blocks

-- Which carrier was allotted which ten thousand numbers: seven digits say more than the first three
-- or four. A table is taken whole from a file, in place of the one before.
CREATE TABLE block_tables (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    in_force boolean NOT NULL DEFAULT true UNIQUE CHECK (in_force), -- so there is one at most
    source text NOT NULL,
    file_sha256 text NOT NULL,
    blocks integer NOT NULL CHECK (blocks > 0),
    taken_by uuid REFERENCES users, -- NULL: whoever holds the command line
    taken_at timestamptz NOT NULL
);

CREATE TABLE number_blocks (
    block integer PRIMARY KEY CHECK (block BETWEEN 1000000 AND 1999999),
    carrier text NOT NULL CHECK (
        carrier IN ('china_mobile', 'china_unicom', 'china_telecom', 'china_broadnet')),
    virtual boolean NOT NULL, -- a virtual operator's, on this carrier's network
    province text NOT NULL,
    city text NOT NULL
);

-- ---------------------------------------------------------------------------- rosters and contacts

CREATE TABLE rosters (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    department_id uuid NOT NULL REFERENCES departments,
    name text NOT NULL,
    basis text NOT NULL CHECK (basis IN ('duty', 'contract_hr', 'consent', 'emergency')),
    expires_on date NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    purpose text NOT NULL DEFAULT '',
    -- What shows that its people consented: where that is kept, the day, who asked for it, in which
    -- way, and the wording that they agreed to (PIPL articles 13, 14 and 17).
    evidence text NOT NULL DEFAULT '',
    evidence_on date,
    -- Somebody said that the roster still holds.
    confirmed_at timestamptz,
    confirmed_by uuid REFERENCES users,
    evidence_by text NOT NULL DEFAULT '',
    evidence_how text CHECK (evidence_how IN ('paper', 'online', 'sms', 'phone', 'in_person')),
    evidence_form text NOT NULL DEFAULT '',
    UNIQUE (department_id, name),
    CONSTRAINT rosters_evidence_check CHECK ((evidence = '') = (evidence_on IS NULL)),
    CONSTRAINT rosters_evidence_whole_check CHECK (
        evidence <> '' OR evidence_by = '' AND evidence_how IS NULL AND evidence_form = ''),
    CONSTRAINT rosters_confirmed_check CHECK ((confirmed_at IS NULL) = (confirmed_by IS NULL))
);

-- `contacts` and `links` have few foreign keys (decision 0006): the check of each runs row by row
-- and costs an import about 5 µs a row, as much as an index. The one that erasure relies on (links
-- to contacts) is there. Areas, departments and imports are never deleted, a roster only while it
-- is locked and empty, and an import takes all of them from their tables in the transaction in
-- which it writes.

-- One person is one phone within one department. The ciphers are copied as they are into the ledger
-- at expansion; the keyed hash is for look-up and uniqueness.
CREATE TABLE contacts (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    department_id uuid NOT NULL,
    phone_hash bytea NOT NULL CHECK (octet_length(phone_hash) = 16),
    phone_cipher bytea NOT NULL,
    name_cipher bytea,
    carrier text,
    area_code text,
    age_band text CHECK (age_band IN ('14-17', '18-25', '26-40', '41-59', '60-69', '70+')),
    gender text CHECK (gender IN ('f', 'm')),
    synthetic boolean NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    -- The import that made the contact: if it is undone, the contact goes or takes what the next
    -- one said. NULL: made by hand, which no undoing takes back.
    import_id uuid,
    -- Who is on no roster any more is not listed, and is not written to.
    listed boolean NOT NULL DEFAULT true,
    -- Of what is shown, for If-Match.
    version integer NOT NULL DEFAULT 1,
    -- A correction by hand takes precedence over what rosters say.
    edited_at timestamptz,
    edited_by uuid,
    UNIQUE (department_id, phone_hash),
    CONSTRAINT contacts_edited_check CHECK ((edited_at IS NULL) = (edited_by IS NULL))
);
CREATE INDEX contacts_unlisted ON contacts (department_id) WHERE NOT listed;

-- Words that a department gives its people, for segments.
CREATE TABLE contact_tags (
    contact_id uuid NOT NULL REFERENCES contacts ON DELETE CASCADE,
    tag text NOT NULL CHECK (tag <> ''),
    created_at timestamptz NOT NULL,
    PRIMARY KEY (contact_id, tag)
);

-- What rosters say of a person's organisation, school, grade and class, as rules compare it:
-- without capitals and white space. White space as in service/audience/tables.
CREATE FUNCTION folded(text text) RETURNS text IMMUTABLE LANGUAGE sql RETURN translate(
    lower(text),
    U&'\0009\000a\000b\000c\000d\0020\0085\00a0\1680\2000\2001\2002\2003\2004\2005\2006\2007\2008\2009\200a\2028\2029\202f\205f\3000',
    '');

-- What one row of one file says about one contact.
CREATE TABLE links (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    contact_id uuid NOT NULL REFERENCES contacts ON DELETE CASCADE,
    roster_id uuid NOT NULL,
    import_id uuid,
    row_no integer,
    digest bytea NOT NULL,
    name_cipher bytea,
    gender text,
    age_band text,
    area_code text,
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
    -- A newer list that a row is not on any more takes it off the roster, and can give it back.
    left_at timestamptz,
    left_by uuid,
    -- Kept beside the text: a preview looks at every link of a department, and folding took a
    -- quarter of it.
    org_folded text GENERATED ALWAYS AS (folded(org)) STORED,
    school_folded text GENERATED ALWAYS AS (folded(school)) STORED,
    grade_folded text GENERATED ALWAYS AS (folded(grade)) STORED,
    class_folded text GENERATED ALWAYS AS (folded(class)) STORED,
    -- valid_until (有效期至), where it is a day: the link counts to the end of that day.
    last_day date,
    -- The college (学院), the office (科室, 处室) and tags (标签): the liaisons of a university and the
    -- offices of a bureau are told apart by them.
    college text NOT NULL DEFAULT '',
    office text NOT NULL DEFAULT '',
    tags text[] NOT NULL DEFAULT '{}',
    UNIQUE (contact_id, roster_id, digest),
    CONSTRAINT links_left_check CHECK ((left_at IS NULL) = (left_by IS NULL))
);
CREATE INDEX links_roster ON links (roster_id);
-- Links that a newer list took off are erased some time later, though the roster goes on for years.
CREATE INDEX links_left ON links (left_at) WHERE left_at IS NOT NULL;

-- A later import that said the same again, and, if the row had left, by which list and when.
CREATE TABLE link_repeats (
    link_id bigint NOT NULL REFERENCES links ON DELETE CASCADE,
    import_id uuid NOT NULL,
    row_no integer NOT NULL,
    was_left_at timestamptz,
    was_left_by uuid,
    PRIMARY KEY (link_id, import_id)
);
CREATE INDEX link_repeats_import ON link_repeats (import_id);

-- How many people are in the rosters of all departments together, as it was counted last: the bound
-- of stray opt-outs is a share of it, and an attack must not make each batch count them again.
CREATE TABLE people_counts (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    people bigint NOT NULL,
    counted_at timestamptz NOT NULL
);

-- ----------------------------------------------------------------------------------------- imports

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
    finished_at timestamptz,
    mode text NOT NULL DEFAULT 'add' CHECK (mode IN ('add', 'replace')),
    undone_at timestamptz,
    undone_by uuid REFERENCES users,
    -- Undoing an import may take minutes, so it is asked for here and done by a worker. `undo` is
    -- what became of it: {"state": "done", "links", "restored", "contacts"} or
    -- {"state": "refused", "code", "message"}.
    undo_asked_at timestamptz,
    undo_asked_by uuid REFERENCES users,
    undo jsonb,
    -- What shows that the people of the file consented; as in `rosters`.
    evidence text NOT NULL DEFAULT '',
    evidence_on date,
    evidence_by text NOT NULL DEFAULT '',
    evidence_how text CHECK (evidence_how IN ('paper', 'online', 'sms', 'phone', 'in_person')),
    evidence_form text NOT NULL DEFAULT '',
    -- Links that it took off were erased: it cannot be undone any more.
    left_erased boolean NOT NULL DEFAULT false,
    CONSTRAINT imports_undo_asked_check CHECK (
        (undo_asked_at IS NULL) = (undo_asked_by IS NULL)
        AND (undo_asked_at IS NULL OR undone_at IS NULL)),
    CONSTRAINT imports_evidence_check CHECK (
        (evidence = '') = (evidence_on IS NULL)
        AND (evidence <> '' OR evidence_by = '' AND evidence_how IS NULL AND evidence_form = ''))
);
CREATE INDEX imports_roster ON imports (department_id, roster, id);
CREATE INDEX imports_undo_asked ON imports (undo_asked_at) WHERE undo_asked_at IS NOT NULL;
-- What waits, by department: few rows, however many imports there were.
CREATE INDEX imports_waiting ON imports (department_id, created_at) WHERE state = 'reading';

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

-- How far the reading of a file has come. The reading holds the import's row and is one
-- transaction, so this is written over another connection, and has no foreign key to that row. It
-- is only shown: a crash may empty it.
CREATE UNLOGGED TABLE import_progress (
    import_id uuid PRIMARY KEY,
    rows_read bigint NOT NULL
);

-- Waiting files are read in turns of departments: a department's turn is that of its last file that
-- was begun, and who has waited longest since then is next.
CREATE SEQUENCE import_turn;
CREATE TABLE import_turns (
    department_id uuid PRIMARY KEY REFERENCES departments,
    turn bigint NOT NULL
) WITH (fillfactor = 50);

-- ------------------------------------------------------------------------------------ suppressions

-- Numbers never sent to, whoever holds them: a keyed hash that outlives the person.
CREATE TABLE suppressions (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    phone_hash bytea NOT NULL CHECK (octet_length(phone_hash) = 16),
    reason text NOT NULL CHECK (reason IN ('opted_out', 'protected', 'dead_number', 'complaint')),
    -- The program's own words; what a person noted may name somebody and is in note_cipher.
    note text NOT NULL DEFAULT '',
    created_by uuid REFERENCES users,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    -- The classes of texts that it stops. What a person may refuse is the least; whoever must not
    -- be written to at all is entered with all classes.
    classes text[] NOT NULL DEFAULT '{public_interest,service}' CHECK (
        classes <> '{}' AND classes <@ ARRAY['public_interest', 'service', 'warning']),
    -- Who answers for a protected number.
    owner text NOT NULL DEFAULT '',
    source text NOT NULL DEFAULT 'person' CHECK (
        source IN ('person', 'list', 'reply', 'receipts')),
    -- An opt-out of work notices (class service) may be of one department's alone. Publicity stops
    -- for the whole county whoever entered it; NULL: notices of every department stop as well.
    department_id uuid REFERENCES departments,
    note_cipher bytea,
    -- By which entry it came, and by which entry of another department as well: it stays when the
    -- first is taken back.
    entry_id uuid,
    second_entry_id uuid,
    UNIQUE NULLS NOT DISTINCT (phone_hash, reason, department_id),
    -- Nobody can refuse a warning.
    CONSTRAINT warnings_cannot_be_refused CHECK (
        reason <> 'opted_out' OR NOT 'warning' = ANY (classes)),
    CONSTRAINT only_refused_notices_are_one_departments CHECK (
        department_id IS NULL OR reason = 'opted_out' AND 'service' = ANY (classes))
);
CREATE INDEX suppressions_entry ON suppressions (entry_id) WHERE entry_id IS NOT NULL;
CREATE INDEX suppressions_second_entry ON suppressions (second_entry_id)
    WHERE second_entry_id IS NOT NULL;

-- What persons enter of numbers that are not to be sent to, a row a request: so that the county
-- sees who stops texts for everybody, and can take it back at once. Entries in bulk are held: their
-- numbers stop nothing until a second person of the county confirms them.
CREATE TABLE suppression_entries (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    department_id uuid NOT NULL REFERENCES departments,
    entered_by uuid NOT NULL REFERENCES users,
    entered_at timestamptz NOT NULL,
    reason text NOT NULL,
    classes text[] NOT NULL,
    -- Whose work notices alone an opt-out stops.
    notices_of uuid REFERENCES departments,
    owner text NOT NULL,
    source text NOT NULL,
    note_cipher bytea NOT NULL,
    expires_at timestamptz,
    -- Without those that were stopped so already.
    numbers integer NOT NULL CHECK (numbers > 0),
    held boolean NOT NULL,
    decision text CHECK (decision IN ('count', 'drop')),
    decision_reason text,
    decided_by uuid REFERENCES users,
    decided_at timestamptz,
    CHECK (num_nonnulls(decision, decision_reason, decided_by, decided_at) IN (0, 4)),
    CONSTRAINT suppression_entries_count_once CHECK (held OR decision <> 'count'),
    CONSTRAINT suppression_entries_two_persons CHECK (
        decision <> 'count' OR decided_by <> entered_by)
);
CREATE INDEX suppression_entries_department ON suppression_entries (department_id, entered_at);
CREATE INDEX suppression_entries_person ON suppression_entries (entered_by, entered_at);
CREATE INDEX suppression_entries_waiting ON suppression_entries (id)
    WHERE held AND decided_at IS NULL;

CREATE FUNCTION suppression_entries_another_person() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.decision = 'count' THEN
        PERFORM need_another_person('suppression_entries_another_person',
            ARRAY[NEW.decided_by], ARRAY[NEW.entered_by], NEW.decided_at);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER suppression_entries_another_person
    AFTER INSERT OR UPDATE OF decided_by ON suppression_entries
    FOR EACH ROW WHEN (NEW.decided_by IS NOT NULL)
    EXECUTE FUNCTION suppression_entries_another_person();

-- The numbers of a held entry.
CREATE TABLE held_suppressions (
    entry_id uuid NOT NULL REFERENCES suppression_entries ON DELETE CASCADE,
    phone_hash bytea NOT NULL CHECK (octet_length(phone_hash) = 16),
    PRIMARY KEY (entry_id, phone_hash)
);

-- No number of an entry stops anything while the entry is held.
CREATE FUNCTION suppressions_of_no_held_entry() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM (SELECT DISTINCT entry_id FROM entered) n
        JOIN suppression_entries e ON e.id = n.entry_id
        WHERE e.held AND e.decision IS DISTINCT FROM 'count')
    THEN
        RAISE EXCEPTION 'these numbers wait for a second person'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'suppressions_of_no_held_entry';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER suppressions_of_no_held_entry AFTER INSERT ON suppressions
    REFERENCING NEW TABLE AS entered FOR EACH STATEMENT
    EXECUTE FUNCTION suppressions_of_no_held_entry();

-- Who took the list of suppressions out of the system, and why.
CREATE TABLE suppression_exports (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    exported_by uuid REFERENCES users, -- NULL: whoever holds the command line
    reason text NOT NULL CHECK (reason <> ''),
    suppressions integer NOT NULL,
    exported_at timestamptz NOT NULL
);

-- Carriers' word that there is no such number, once a hand-off's run. Two of different days, with
-- no delivery since the first, suppress the number.
CREATE TABLE dead_reports (
    phone_hash bytea NOT NULL CHECK (octet_length(phone_hash) = 16),
    run_id uuid NOT NULL,
    day date NOT NULL,
    channel_id smallint NOT NULL,
    code text,
    at timestamptz NOT NULL,
    PRIMARY KEY (phone_hash, run_id)
);

-- ---------------------------------------------------------------------------------------- segments

-- Saved audience rules.
CREATE TABLE segments (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    department_id uuid NOT NULL REFERENCES departments,
    name text NOT NULL,
    rule text NOT NULL,
    edited_by uuid NOT NULL REFERENCES users,
    created_at timestamptz NOT NULL,
    edited_at timestamptz NOT NULL,
    -- What kind of key made it: one of a test or trial key gives way to a live one of its name.
    key_mode text NOT NULL DEFAULT 'live' CHECK (key_mode IN ('live', 'trial', 'test')),
    UNIQUE (department_id, name)
);
