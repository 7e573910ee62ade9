-- Obligations: what departments owe again and again, and duties: one period of it of one department.
SET LOCAL lock_timeout = '5s';

-- setter_id: the department that asks for it. departments or kinds: of whom; a bureau only of those
-- below it.
CREATE TABLE obligations (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    setter_id uuid NOT NULL REFERENCES departments,
    departments uuid[] NOT NULL DEFAULT '{}',
    kinds text[] NOT NULL DEFAULT '{}',
    kind text NOT NULL CHECK (kind IN ('weekly_report', 'send', 'custom')),
    title text NOT NULL CHECK (title <> ''),
    period text NOT NULL CHECK (period IN ('week', 'month', 'once')),
    due_weekday smallint CHECK (due_weekday BETWEEN 1 AND 7),
    due_day smallint CHECK (due_day BETWEEN 1 AND 31),
    due_on date,
    due_time time NOT NULL,
    shift text NOT NULL CHECK (shift IN ('previous_workday', 'next_workday', 'none')),
    from_on date NOT NULL,
    until_on date,
    needs jsonb NOT NULL DEFAULT '{}',
    remind text[] NOT NULL CHECK (remind <@ ARRAY['workday_before', '-2h']),
    rungs text[] NOT NULL CHECK (rungs <@ ARRAY['late', 'leader', 'office', 'missed']),
    set_by uuid NOT NULL REFERENCES users,
    set_at timestamptz NOT NULL,
    ended_at timestamptz,
    ended_by uuid REFERENCES users,
    -- The first day of the next period of which duties are to be made; NULL: of none any more.
    next_on date,
    -- The version of the county's calendar by which the deadlines of its open duties were found.
    calendar_version bigint NOT NULL,
    CONSTRAINT obligations_whose CHECK ((departments = '{}') <> (kinds = '{}')),
    CONSTRAINT obligations_due CHECK (CASE period
        WHEN 'week' THEN due_weekday IS NOT NULL AND due_day IS NULL AND due_on IS NULL
        WHEN 'month' THEN due_weekday IS NULL AND due_day IS NOT NULL AND due_on IS NULL
        ELSE due_weekday IS NULL AND due_day IS NULL AND due_on IS NOT NULL END),
    CONSTRAINT obligations_end CHECK ((ended_at IS NULL) = (ended_by IS NULL)),
    CONSTRAINT obligations_over CHECK (ended_at IS NULL OR next_on IS NULL)
);
CREATE INDEX obligations_next ON obligations (next_on) WHERE next_on IS NOT NULL;
CREATE INDEX obligations_setter ON obligations (setter_id, id);
CREATE INDEX obligations_in_force ON obligations (id) WHERE ended_at IS NULL;

-- One row a department and period, made when the period begins.
CREATE TABLE duties (
    obligation_id uuid NOT NULL REFERENCES obligations,
    department_id uuid NOT NULL REFERENCES departments,
    period text NOT NULL,
    id uuid NOT NULL DEFAULT uuidv7() UNIQUE,
    setter_id uuid NOT NULL REFERENCES departments,
    kind text NOT NULL,
    first_on date NOT NULL,
    last_on date NOT NULL,
    due_at timestamptz NOT NULL,
    holiday_week boolean NOT NULL,
    -- Whether every day that decides on the deadline was announced.
    official boolean NOT NULL,
    -- A later notice moved it: from when, and when that was.
    moved_from timestamptz,
    moved_at timestamptz,
    -- When the next period's is due: what is not in by then is missed.
    missed_at timestamptz,
    state text NOT NULL DEFAULT 'open' CHECK (state IN (
        'open', 'submitted', 'accepted', 'returned', 'excused', 'missed')),
    -- The first time that it was handed in counts, whatever was returned since.
    submitted_at timestamptz,
    late_minutes integer GENERATED ALWAYS AS (
        greatest(0, ceil(extract(epoch FROM (submitted_at - due_at)) / 60))::integer) STORED,
    -- What ticked a duty that a fact fulfils.
    evidence_run_id uuid REFERENCES runs,
    return_due_at timestamptz,
    decided_by uuid REFERENCES users,
    decided_at timestamptz,
    reason text NOT NULL DEFAULT '',
    -- Until when it is owed now: what was returned has a time of its own.
    owed_at timestamptz NOT NULL GENERATED ALWAYS AS (coalesce(return_due_at, due_at)) STORED,
    -- When the scheduler has something to do for it next.
    next_at timestamptz,
    PRIMARY KEY (obligation_id, department_id, period),
    CONSTRAINT duties_submitted CHECK (
        state NOT IN ('submitted', 'accepted', 'returned') OR submitted_at IS NOT NULL),
    CONSTRAINT duties_not_in CHECK (state NOT IN ('open', 'missed') OR submitted_at IS NULL),
    CONSTRAINT duties_decided CHECK (
        state NOT IN ('accepted', 'returned', 'excused') OR decided_by IS NOT NULL),
    CONSTRAINT duties_done CHECK (state = 'open' OR next_at IS NULL),
    CONSTRAINT duties_returned CHECK ((state = 'returned') <= (return_due_at IS NOT NULL))
);
CREATE INDEX duties_next ON duties (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX duties_owed ON duties (owed_at, id) WHERE state IN ('open', 'returned');
CREATE INDEX duties_department ON duties (department_id, id);
CREATE INDEX duties_setter ON duties (setter_id, id);
CREATE INDEX duties_setter_state ON duties (setter_id, state, id);
CREATE INDEX duties_state ON duties (state, id);
CREATE INDEX duties_period ON duties (obligation_id, period, id);
CREATE INDEX duties_open ON duties (obligation_id, period) WHERE state = 'open';
CREATE INDEX duties_to_tick ON duties (id) WHERE state = 'open' AND kind = 'send';

-- Each step of the ladder of a duty, once. skipped: why nobody was told. settled_at: NULL until
-- somebody was told, or it was known that nobody is.
CREATE TABLE duty_steps (
    duty_id uuid NOT NULL REFERENCES duties (id),
    step text NOT NULL CHECK (step IN (
        'workday_before', 'two_hours_before', 'late', 'leader', 'office', 'missed_leader',
        'missed_above')),
    planned_at timestamptz NOT NULL,
    taken_at timestamptz NOT NULL,
    -- Whose liaison or leader is told.
    told_department_id uuid REFERENCES departments,
    told_duty text CHECK (told_duty IN ('liaison', 'leader')),
    run_id uuid REFERENCES runs,
    no integer,
    skipped text NOT NULL DEFAULT '',
    settled_at timestamptz,
    PRIMARY KEY (duty_id, step),
    CONSTRAINT duty_steps_told CHECK (num_nonnulls(run_id, no) IN (0, 2)),
    CONSTRAINT duty_steps_settled CHECK (
        (settled_at IS NOT NULL) = (run_id IS NOT NULL OR skipped <> ''))
);
CREATE INDEX duty_steps_untold ON duty_steps (taken_at) WHERE settled_at IS NULL;
CREATE INDEX duty_steps_run ON duty_steps (run_id, no) WHERE run_id IS NOT NULL;

-- What was handed in, each time; rows are only added. figures: of the period, frozen, as the text of
-- which sha256 is the hash; '': this kind has none.
CREATE TABLE duty_reports (
    duty_id uuid NOT NULL REFERENCES duties (id),
    no smallint NOT NULL,
    narrative text NOT NULL,
    figures text NOT NULL,
    as_of timestamptz NOT NULL,
    sha256 bytea NOT NULL CHECK (octet_length(sha256) = 32),
    submitted_by uuid NOT NULL REFERENCES users,
    submitted_at timestamptz NOT NULL,
    PRIMARY KEY (duty_id, no),
    CONSTRAINT duty_reports_hash CHECK (sha256 = sha256(convert_to(figures, 'UTF8')))
);
CREATE INDEX duty_reports_by ON duty_reports (submitted_by);

-- The text that each kind of step takes, of the department that asks.
CREATE TABLE duty_texts (
    department_id uuid NOT NULL REFERENCES departments,
    kind text NOT NULL CHECK (kind IN ('reminder', 'late', 'leader', 'office', 'missed')),
    template_id uuid NOT NULL REFERENCES templates,
    set_by uuid NOT NULL REFERENCES users,
    set_at timestamptz NOT NULL,
    PRIMARY KEY (department_id, kind)
);

-- What was handed in stays as it is, and so does whether it was in time.
CREATE FUNCTION duty_reports_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what was handed in does not change'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'duty_reports_stay';
END $$;
CREATE TRIGGER duty_reports_stay BEFORE UPDATE OR DELETE ON duty_reports
    FOR EACH ROW EXECUTE FUNCTION duty_reports_stay();

CREATE FUNCTION duties_in_time_or_not() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.submitted_at, NEW.due_at) IS DISTINCT FROM (OLD.submitted_at, OLD.due_at) THEN
        RAISE EXCEPTION 'when it was handed in, and when it was due, does not change any more'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'duties_in_time_or_not';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER duties_in_time_or_not BEFORE UPDATE ON duties
    FOR EACH ROW WHEN (OLD.submitted_at IS NOT NULL) EXECUTE FUNCTION duties_in_time_or_not();

-- Nobody accepts or excuses what they have handed in, nor counts as somebody who has.
CREATE FUNCTION duties_another_person() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE hands uuid[];
BEGIN
    SELECT array_agg(DISTINCT submitted_by) INTO hands FROM duty_reports WHERE duty_id = NEW.id;
    IF hands IS NOT NULL THEN
        PERFORM need_another_person('duties_another_person',
            ARRAY[NEW.decided_by], hands, NEW.decided_at);
    END IF;
    RETURN NULL;
END $$;
-- It decides on a second person: no temporary table takes the place of those that it reads.
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION duties_another_person() SET search_path = %I, pg_temp',
                   current_schema());
END $$;
CREATE TRIGGER duties_another_person AFTER INSERT OR UPDATE OF state, decided_by ON duties
    FOR EACH ROW WHEN (NEW.state IN ('accepted', 'excused'))
    EXECUTE FUNCTION duties_another_person();
