-- What is counted of coverage, a second time, by towns: a page of a province by its counties would
-- read a million rows of its villages. Role first, since pages read the people of one role.
CREATE TABLE coverage_town_facts (
    scope_id uuid NOT NULL REFERENCES coverage_scopes ON DELETE CASCADE,
    count_no integer NOT NULL,
    role text NOT NULL,
    area_code text NOT NULL,
    outcome text NOT NULL,
    reason text NOT NULL,
    people integer NOT NULL,
    PRIMARY KEY (scope_id, count_no, role, area_code, outcome, reason)
);
