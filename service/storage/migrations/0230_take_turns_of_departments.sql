-- Waiting files are read in turns of departments: a department's turn is that of its last file that
-- was begun, and who has waited longest since then is next.
CREATE SEQUENCE import_turn;
CREATE TABLE import_turns (
    department_id uuid PRIMARY KEY REFERENCES departments,
    turn bigint NOT NULL
) WITH (fillfactor = 50);

-- What waits, by department: few rows, however many imports there were.
CREATE INDEX imports_waiting ON imports (department_id, created_at) WHERE state = 'reading';

-- The drafts of a department, which are bounded.
CREATE INDEX campaigns_drafts ON campaigns (department_id) WHERE state IN ('draft', 'returned');
