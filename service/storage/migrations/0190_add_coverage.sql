-- Coverage: how many people there should be, and of how many it is known what a text came to.
--
-- How many people there should be of an area and a kind, by whom, and from which day on it counts.
-- Rows are only added; of one day the last entered counts.
CREATE TABLE denominators (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    area_code text NOT NULL CHECK (area_code ~ '^[0-9]{12}([0-9]{3})?$'),
    kind text NOT NULL CHECK (kind ~ '^[a-z_]+$'),
    people integer NOT NULL CHECK (people >= 0),
    source text NOT NULL CHECK (source <> ''),
    as_of date NOT NULL,
    entered_at timestamptz NOT NULL,
    entered_by uuid NOT NULL REFERENCES users
);
CREATE INDEX denominators_area ON denominators (kind, area_code, as_of, id);

-- What is counted together, each person once: a run with what was sent again of it, a campaign, or
-- a quarter of one class (department_id null: of all departments).
CREATE TABLE coverage_scopes (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    kind text NOT NULL CHECK (kind IN ('run', 'campaign', 'quarter')),
    run_id uuid,
    campaign_id uuid,
    department_id uuid,
    quarter date,
    class text,
    -- The count that is shown: its number, its instant, how long it took.
    shown integer NOT NULL DEFAULT 0,
    as_of timestamptz,
    took interval,
    -- Nothing of it changes any more, and it is not counted again.
    final boolean NOT NULL DEFAULT false,
    -- The count under way: its runs, into how many stretches of the phones' hashes it is cut, and
    -- how many of them are done. One that a process left goes on from there.
    run_ids uuid[],
    stretches integer,
    done integer,
    began_at timestamptz,
    CONSTRAINT coverage_scopes_subject_check CHECK (
        CASE kind WHEN 'run' THEN run_id IS NOT NULL
                  WHEN 'campaign' THEN campaign_id IS NOT NULL
                  ELSE quarter IS NOT NULL AND class IS NOT NULL END),
    CONSTRAINT coverage_scopes_subject UNIQUE NULLS NOT DISTINCT
        (kind, run_id, campaign_id, department_id, quarter, class)
);
CREATE INDEX coverage_scopes_open ON coverage_scopes (id) WHERE NOT final;

-- How many people of an area and a role came to an outcome, and why; role '': whatever the role, so
-- that each person is there once. Area '': not known.
CREATE TABLE coverage_facts (
    scope_id uuid NOT NULL REFERENCES coverage_scopes ON DELETE CASCADE,
    count_no integer NOT NULL,
    area_code text NOT NULL,
    role text NOT NULL,
    outcome text NOT NULL,
    reason text NOT NULL,
    people integer NOT NULL,
    PRIMARY KEY (scope_id, count_no, area_code, role, outcome, reason)
);

-- Whoever is left out is counted under their roles, too. NULL: left out before this column, or by a
-- program that does not know it; then under no role.
ALTER TABLE exclusions ADD COLUMN roles text[];

-- The run whose text a run sends again to those whom it missed; itself, if it is no such run.
CREATE FUNCTION root_of_resends(run uuid) RETURNS uuid STABLE LANGUAGE sql AS $$
    WITH RECURSIVE above(id, follows, relation) AS (
        SELECT id, follows, relation FROM runs WHERE id = run
        UNION ALL
        SELECT r.id, r.follows, r.relation FROM above a JOIN runs r ON r.id = a.follows
        WHERE a.relation = 'resend')
    SELECT id FROM above WHERE relation IS DISTINCT FROM 'resend'
$$;

-- The runs of a scope.
CREATE FUNCTION runs_of_scope(scope coverage_scopes) RETURNS SETOF uuid STABLE LANGUAGE sql AS $$
    WITH RECURSIVE resent(id) AS (
        SELECT scope.run_id WHERE scope.kind = 'run'
        UNION ALL
        SELECT r.id FROM resent a JOIN runs r ON r.follows = a.id AND r.relation = 'resend')
    SELECT id FROM resent
    UNION ALL
    SELECT r.id FROM campaigns c JOIN runs r ON r.campaign_id = c.id
    WHERE scope.kind = 'campaign' AND (c.id = scope.campaign_id OR c.leg_of = scope.campaign_id)
    UNION ALL
    SELECT r.id FROM runs r
    WHERE scope.kind = 'quarter' AND r.campaign_id IS NOT NULL AND r.class = scope.class
      AND r.fire_at >= scope.quarter::timestamp AT TIME ZONE 'Asia/Shanghai'
      AND r.fire_at < (scope.quarter + interval '3 months') AT TIME ZONE 'Asia/Shanghai'
      AND (scope.department_id IS NULL OR r.department_id = scope.department_id)
$$;

-- As long as it takes to read the runs once, no run begins and none is moved. Direct sends, of which
-- there may be hundreds a second, are in neither.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX runs_settled ON runs (settled_at) WHERE campaign_id IS NOT NULL;
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX runs_fired ON runs (fire_at) WHERE campaign_id IS NOT NULL;
