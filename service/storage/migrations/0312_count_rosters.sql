-- How many people are on a list, kept beside its entries: a page of lists counted the entries of each
-- of them anew. A count says of which state of the list it is; where the list has changed since, its
-- entries are counted as before, until the scheduler has counted it again.

-- An import that began with the functions of before ends first: it would note nothing.
LOCK TABLE links IN SHARE ROW EXCLUSIVE MODE;

-- How often the entries of a list were changed: the sum of its rows. They are only added by those who
-- change entries, so nobody waits for another; the scheduler replaces them by their sum.
CREATE TABLE roster_changes (
    roster_id uuid NOT NULL,
    changes bigint NOT NULL
);
CREATE INDEX roster_changes_of ON roster_changes (roster_id);

CREATE TABLE roster_counts (
    roster_id uuid PRIMARY KEY,
    -- After so many changes.
    changes bigint NOT NULL,
    people integer NOT NULL,
    -- Of them, those with an entry of which neither itself nor its import says what shows a consent.
    bare integer NOT NULL
);

CREATE OR REPLACE FUNCTION note_changed_links() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO facts_waiting (department_id, contact_id)
    SELECT DISTINCT r.department_id, l.contact_id
    FROM (SELECT DISTINCT c.roster_id, CASE WHEN NOT n.many THEN c.contact_id END AS contact_id
          FROM changed c
          CROSS JOIN (SELECT count(*) > facts_noted_singly() AS many
                      FROM (SELECT FROM changed LIMIT facts_noted_singly() + 1) f) n) l
    JOIN rosters r ON r.id = l.roster_id;
    INSERT INTO roster_changes (roster_id, changes)
    SELECT roster_id, 1 FROM changed GROUP BY roster_id;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION note_updated_links() RETURNS trigger LANGUAGE plpgsql AS $$
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
    INSERT INTO roster_changes (roster_id, changes)
    SELECT r.roster_id, 1
    FROM changed n JOIN before b ON b.id = n.id, unnest(ARRAY[n.roster_id, b.roster_id]) r(roster_id)
    WHERE (n.left_by IS NULL, n.contact_id, n.roster_id, n.consent_basis, n.import_id)
        IS DISTINCT FROM
          (b.left_by IS NULL, b.contact_id, b.roster_id, b.consent_basis, b.import_id)
    GROUP BY r.roster_id;
    RETURN NULL;
END $$;
