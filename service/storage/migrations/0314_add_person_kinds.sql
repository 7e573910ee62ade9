-- How many people have the same facts, but for what lists say beside roles: a preview looked at each
-- of 120,000 people, who are of some 20,000 kinds by what most rules ask. Triggers keep it, so that
-- it holds whatever program makes facts.
--
-- Rows are only added by whoever changes facts, with how many people are added or taken away: nobody
-- waits for another. What holds is the sum. Whoever has the lock of a department's facts replaces
-- the rows by a count.

CREATE TABLE person_kinds (
    department_id uuid NOT NULL,
    -- As in `person_facts`.
    from_day date NOT NULL,
    to_day date NOT NULL,
    is_last boolean NOT NULL,
    carrier text,
    area_code text,
    age_band text,
    gender text,
    synthetic boolean NOT NULL,
    has_name boolean NOT NULL,
    -- All roles of the entries of the span, each once, in order, with blanks between them.
    roles text,
    people integer NOT NULL
);
CREATE INDEX person_kinds_department ON person_kinds (department_id);

CREATE FUNCTION count_person_kinds(whose uuid) RETURNS SETOF person_kinds STABLE LANGUAGE sql AS $$
    WITH told AS MATERIALIZED (
        SELECT said, string_agg(DISTINCT role, ' ' ORDER BY role) AS roles
        FROM said_entries k, unnest(k.roles) AS role WHERE department_id = whose GROUP BY said
    )
    SELECT f.department_id, f.from_day, f.to_day, f.is_last, f.carrier, f.area_code, f.age_band,
           f.gender, f.synthetic, f.has_name, t.roles, count(*)::int
    FROM person_facts f LEFT JOIN told t ON t.said = f.said
    WHERE f.department_id = whose
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
$$;

CREATE FUNCTION note_person_kinds() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO person_kinds
    WITH told AS MATERIALIZED (
        SELECT department_id, said, string_agg(DISTINCT role, ' ' ORDER BY role) AS roles
        FROM said_entries k, unnest(k.roles) AS role
        WHERE (department_id, said) IN (SELECT department_id, said FROM changed)
        GROUP BY department_id, said
    )
    SELECT f.department_id, f.from_day, f.to_day, f.is_last, f.carrier, f.area_code, f.age_band,
           f.gender, f.synthetic, f.has_name, t.roles,
           CASE TG_OP WHEN 'INSERT' THEN count(*) ELSE - count(*) END
    FROM changed f LEFT JOIN told t ON t.department_id = f.department_id AND t.said = f.said
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11;
    RETURN NULL;
END $$;

CREATE TRIGGER person_facts_note_added AFTER INSERT ON person_facts
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION note_person_kinds();
CREATE TRIGGER person_facts_note_deleted AFTER DELETE ON person_facts
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION note_person_kinds();

-- Those of today. Whoever changes facts waits for this migration, since the triggers were made.
INSERT INTO person_kinds SELECT k.* FROM departments d, count_person_kinds(d.id) k;
