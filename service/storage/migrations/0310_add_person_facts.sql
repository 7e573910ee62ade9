-- What a rule asks of a person, worked out beforehand: a preview of a department of 120,000 people
-- read and grouped all entries of its lists each time. A row is a person and a span of days in which
-- the same entries hold; entries that say the same are kept once, for all of whom they say it.
-- Neither table has a number, a name or any other cipher. service/audience/segments/facts_store.py
-- makes the rows from the entries; the triggers below only note whose entries were changed.

CREATE TABLE person_facts (
    contact_id uuid NOT NULL,
    -- The span, both days included; '-infinity' for the first. After the last one the person is on
    -- ended lists only. Whoever was made by hand has one span without an end.
    from_day date NOT NULL,
    to_day date NOT NULL,
    is_last boolean NOT NULL,
    department_id uuid NOT NULL,
    phone_hash bytea NOT NULL,
    -- As in `contacts`.
    carrier text,
    area_code text,
    age_band text,
    gender text,
    synthetic boolean NOT NULL,
    has_name boolean NOT NULL,
    -- The digest of what the entries of the span say; NULL: the person is on no list.
    said bytea,
    PRIMARY KEY (contact_id, from_day)
);
CREATE INDEX person_facts_department ON person_facts (department_id, area_code);

-- The entries of a digest, as rules compare them: texts folded, words of tags as they are.
CREATE TABLE said_entries (
    department_id uuid NOT NULL,
    said bytea NOT NULL,
    roster_id uuid NOT NULL,
    roles text[] NOT NULL,
    tags text[] NOT NULL,
    org text NOT NULL,
    school text NOT NULL,
    grade text NOT NULL,
    class text NOT NULL,
    college text NOT NULL,
    office text NOT NULL
);
CREATE INDEX said_entries_of ON said_entries (department_id, said);

-- Whose entries were changed since their facts were made; contact_id NULL: many people of the
-- department. Rows are only added by those who change entries, so nobody waits for another, and
-- taken by whoever makes the facts anew.
CREATE TABLE facts_waiting (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    department_id uuid NOT NULL,
    contact_id uuid
);
CREATE INDEX facts_waiting_department ON facts_waiting (department_id);

-- What the last comparison of the facts of a department with its entries found.
CREATE TABLE facts_checks (
    department_id uuid PRIMARY KEY REFERENCES departments,
    checked_at timestamptz NOT NULL,
    people integer NOT NULL,
    differing integer NOT NULL
);

-- So many changed people are noted one by one. More: their department as a whole.
CREATE FUNCTION facts_noted_singly() RETURNS integer IMMUTABLE LANGUAGE sql RETURN 200;

CREATE FUNCTION note_changed_contacts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO facts_waiting (department_id, contact_id)
    SELECT DISTINCT c.department_id, CASE WHEN NOT n.many THEN c.id END
    FROM changed c
    CROSS JOIN (SELECT count(*) > facts_noted_singly() AS many
                FROM (SELECT FROM changed LIMIT facts_noted_singly() + 1) f) n;
    RETURN NULL;
END $$;

-- Of an update only what facts are made of counts.
CREATE FUNCTION note_updated_contacts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO facts_waiting (department_id, contact_id)
    WITH other AS MATERIALIZED (
        SELECT n.id, n.department_id FROM changed n JOIN before b ON b.id = n.id
        WHERE (n.listed, n.carrier, n.area_code, n.age_band, n.gender, n.synthetic, n.phone_hash,
               n.name_cipher IS NULL)
            IS DISTINCT FROM
              (b.listed, b.carrier, b.area_code, b.age_band, b.gender, b.synthetic, b.phone_hash,
               b.name_cipher IS NULL))
    SELECT DISTINCT o.department_id,
           CASE WHEN (SELECT count(*) FROM other) <= facts_noted_singly() THEN o.id END
    FROM other o;
    RETURN NULL;
END $$;

CREATE FUNCTION note_changed_links() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO facts_waiting (department_id, contact_id)
    SELECT DISTINCT r.department_id, l.contact_id
    FROM (SELECT DISTINCT c.roster_id, CASE WHEN NOT n.many THEN c.contact_id END AS contact_id
          FROM changed c
          CROSS JOIN (SELECT count(*) > facts_noted_singly() AS many
                      FROM (SELECT FROM changed LIMIT facts_noted_singly() + 1) f) n) l
    JOIN rosters r ON r.id = l.roster_id;
    RETURN NULL;
END $$;

-- The same of an update: taking an import back, or a new master key, writes columns that no rule
-- asks for.
CREATE FUNCTION note_updated_links() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO facts_waiting (department_id, contact_id)
    WITH other AS MATERIALIZED (
        SELECT n.roster_id, n.contact_id FROM changed n JOIN before b ON b.id = n.id
        WHERE (n.left_by IS NULL, n.last_day, n.contact_id, n.roster_id, n.roles, n.tags, n.org,
               n.school, n.grade, n.class, n.college, n.office)
            IS DISTINCT FROM
              (b.left_by IS NULL, b.last_day, b.contact_id, b.roster_id, b.roles, b.tags, b.org,
               b.school, b.grade, b.class, b.college, b.office))
    SELECT DISTINCT r.department_id, l.contact_id
    FROM (SELECT DISTINCT o.roster_id,
                 CASE WHEN (SELECT count(*) FROM other) <= facts_noted_singly()
                      THEN o.contact_id END AS contact_id
          FROM other o) l
    JOIN rosters r ON r.id = l.roster_id;
    RETURN NULL;
END $$;

CREATE FUNCTION note_changed_roster() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO facts_waiting (department_id) VALUES (OLD.department_id);
    RETURN NULL;
END $$;

CREATE TRIGGER contacts_note_added AFTER INSERT ON contacts
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION note_changed_contacts();
CREATE TRIGGER contacts_note_deleted AFTER DELETE ON contacts
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION note_changed_contacts();
CREATE TRIGGER contacts_note_updated AFTER UPDATE ON contacts
    REFERENCING OLD TABLE AS before NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION note_updated_contacts();
CREATE TRIGGER links_note_added AFTER INSERT ON links
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION note_changed_links();
CREATE TRIGGER links_note_updated AFTER UPDATE ON links
    REFERENCING OLD TABLE AS before NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION note_updated_links();
CREATE TRIGGER links_note_deleted AFTER DELETE ON links
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION note_changed_links();
CREATE TRIGGER rosters_note_end AFTER UPDATE ON rosters
    FOR EACH ROW WHEN (OLD.expires_on IS DISTINCT FROM NEW.expires_on)
    EXECUTE FUNCTION note_changed_roster();
CREATE TRIGGER rosters_note_deleted AFTER DELETE ON rosters
    FOR EACH ROW EXECUTE FUNCTION note_changed_roster();

INSERT INTO facts_waiting (department_id) SELECT id FROM departments;
