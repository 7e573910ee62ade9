-- Rosters as lists of members: which import said what, who left by which newer list, and undoing.

ALTER TABLE imports
    ADD COLUMN mode text NOT NULL DEFAULT 'add' CHECK (mode IN ('add', 'replace')),
    ADD COLUMN undone_at timestamptz,
    ADD COLUMN undone_by uuid REFERENCES users;

CREATE INDEX imports_roster ON imports (department_id, roster, id);

-- The import that made the contact: if it is undone, the contact goes or takes what the next said.
-- Who is on no roster any more is not listed, and is not written to.
ALTER TABLE contacts
    ADD COLUMN import_id uuid,
    ADD COLUMN listed boolean NOT NULL DEFAULT true;
CREATE INDEX contacts_unlisted ON contacts (department_id) WHERE NOT listed;

-- A newer list that a row is not on any more takes it off the roster, and can give it back.
ALTER TABLE links
    ADD COLUMN left_at timestamptz,
    ADD COLUMN left_by uuid,
    ADD CONSTRAINT links_left_check CHECK ((left_at IS NULL) = (left_by IS NULL));

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

-- A foreign key costs an import about 5 µs a row, as much as an index: its check runs row by row.
-- The one that erasure relies on (links to contacts) stays. Areas, departments and imports are never
-- deleted, a roster only while it is locked and empty, and an import takes all of them from their
-- tables in the transaction in which it writes.
ALTER TABLE contacts
    DROP CONSTRAINT contacts_area_code_fkey,
    DROP CONSTRAINT contacts_department_id_fkey;
ALTER TABLE links
    DROP CONSTRAINT links_area_code_fkey,
    DROP CONSTRAINT links_import_id_fkey,
    DROP CONSTRAINT links_roster_id_fkey;
