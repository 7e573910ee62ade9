-- The score sheet of a quarter: versions of its rules, and what units say of cases of their own staff.
SET LOCAL lock_timeout = '5s';

-- A quarter keeps the version that was in force when it began; before the first one, as shipped.
CREATE TABLE assessment_rules (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    weights jsonb NOT NULL,
    full_coverage_pct numeric(4, 1) NOT NULL CHECK (full_coverage_pct > 0 AND full_coverage_pct <= 100),
    own_staff_each smallint NOT NULL CHECK (own_staff_each >= 0),
    own_staff_most smallint NOT NULL CHECK (own_staff_most >= 0),
    reason text NOT NULL CHECK (reason <> ''),
    set_by uuid NOT NULL REFERENCES users,
    set_at timestamptz NOT NULL
);

-- Rows are only added; of a department and quarter the last one counts.
CREATE TABLE own_staff_cases (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    department_id uuid NOT NULL REFERENCES departments,
    quarter text NOT NULL CHECK (quarter ~ '^20[0-9]{2}-Q[1-4]$'),
    cases integer NOT NULL CHECK (cases >= 0),
    source text NOT NULL CHECK (source <> ''),
    stated_by uuid NOT NULL REFERENCES users,
    stated_at timestamptz NOT NULL
);
CREATE INDEX own_staff_cases_quarter ON own_staff_cases (quarter, department_id, id);

-- Reports that were due in a quarter, of all departments. A province makes some 780,000 duties a year:
-- as long as it takes to read them once, none is made.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX duties_reports_due ON duties (due_at, department_id)
    WHERE kind IN ('weekly_report', 'custom');
