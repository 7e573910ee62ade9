-- Follow-ups: those whom a run missed, what was tried for each of them, and who went to their doors.
SET LOCAL lock_timeout = '5s';

-- One row a run that is followed up; a cancelled one may be begun again.
CREATE TABLE followups (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    root_run_id uuid NOT NULL REFERENCES runs,
    department_id uuid NOT NULL REFERENCES departments,
    -- going: texts are sent again; visiting: people are visited; closed: every village is signed off,
    -- or nobody is left.
    state text NOT NULL CHECK (state IN ('going', 'visiting', 'closed', 'cancelled')),
    -- Only people of these roles are visited; none: all.
    roles text[] NOT NULL DEFAULT '{}',
    include_refused boolean NOT NULL DEFAULT false,
    -- Whether departments with an area visit those who live there.
    with_towns boolean NOT NULL DEFAULT false,
    -- The other channels, of the step that takes them.
    channels smallint[],
    due_on date,
    started_by uuid NOT NULL REFERENCES users,
    started_at timestamptz NOT NULL,
    -- When whom the run missed was written down; NULL: not yet.
    counted_at timestamptz,
    -- When the scheduler looks at it again.
    look_at timestamptz NOT NULL,
    -- The last time that somebody was told face to face: what was counted before is old.
    told_at timestamptz,
    ended_at timestamptz,
    -- Why somebody ended it before its end.
    ended_why text NOT NULL DEFAULT '',
    -- Whether it was forgotten what was noted of people; names are shown no more.
    names_dropped boolean NOT NULL DEFAULT false,
    CONSTRAINT followups_end_check CHECK ((state IN ('closed', 'cancelled')) = (ended_at IS NOT NULL))
);
CREATE UNIQUE INDEX followups_run ON followups (root_run_id) WHERE state <> 'cancelled';
CREATE INDEX followups_department ON followups (department_id, id);
CREATE INDEX followups_open ON followups (look_at) WHERE state IN ('going', 'visiting');
CREATE INDEX followups_told ON followups (told_at);
CREATE INDEX followups_ended ON followups (ended_at) WHERE NOT names_dropped;

-- The steps of a ladder, in their order. run_id: what was sent again. reason: why it was left out,
-- or what it waits for.
CREATE TABLE followup_steps (
    followup_id uuid NOT NULL REFERENCES followups,
    no smallint NOT NULL,
    step text NOT NULL CHECK (step IN ('again', 'other_channels', 'visit')),
    state text NOT NULL DEFAULT 'waiting'
        CHECK (state IN ('waiting', 'asks', 'under_way', 'done', 'skipped')),
    run_id uuid UNIQUE REFERENCES runs,
    reason text NOT NULL DEFAULT '',
    -- What whoever decided it said.
    note text NOT NULL DEFAULT '',
    decided_by uuid REFERENCES users,
    began_at timestamptz,
    ended_at timestamptz,
    PRIMARY KEY (followup_id, no),
    UNIQUE (followup_id, step),
    CONSTRAINT followup_steps_run_check CHECK (
        state <> 'under_way' OR (run_id IS NULL) = (step = 'visit'))
);

-- Everybody whom the run missed, each once, in exactly one state; as keyed hashes, as in the ledger.
CREATE TABLE visits (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    followup_id uuid NOT NULL REFERENCES followups,
    phone_hash bytea NOT NULL CHECK (octet_length(phone_hash) = 16),
    area_code text NOT NULL,            -- '': not known
    village text NOT NULL GENERATED ALWAYS AS (left(area_code, 12)) STORED,
    roles text[] NOT NULL,
    -- Why the run missed the person.
    reason text NOT NULL,
    state text NOT NULL CHECK (state IN (
        -- on a step before the visits; on the list of visits
        'waiting', 'open',
        -- how a visit ended
        'told', 'refused', 'moved', 'no_such_person', 'excused',
        -- no visit: a text arrived; wants no texts; erased; not of the roles, or the end came before
        'reached', 'opted_out', 'erased', 'left')),
    -- The step at which it ended; a text that arrived late and was of no step: ''.
    step text NOT NULL DEFAULT '' CHECK (step IN ('', 'again', 'other_channels', 'visit')),
    not_home smallint NOT NULL DEFAULT 0,
    -- Two results contradict each other.
    disputed boolean NOT NULL DEFAULT false,
    UNIQUE (followup_id, phone_hash)
);
CREATE INDEX visits_village ON visits (followup_id, village, id);
CREATE INDEX visits_phone ON visits (phone_hash);

-- What came of going there, each time; rows are only added. key: given by whoever writes it down, so
-- that a phone which sends it twice, or late, writes it once.
CREATE TABLE visit_tries (
    visit_id uuid NOT NULL REFERENCES visits,
    no smallint NOT NULL,
    key uuid NOT NULL,
    result text NOT NULL CHECK (result IN (
        'told', 'not_home', 'refused', 'moved', 'no_such_person', 'excused')),
    on_day date NOT NULL,
    -- Who was there, and who wrote it down.
    by_id uuid NOT NULL REFERENCES users,
    written_by uuid NOT NULL REFERENCES users,
    note_cipher bytea,
    at timestamptz NOT NULL,
    -- It came when another result had ended the visit.
    disputed boolean NOT NULL,
    PRIMARY KEY (visit_id, no),
    UNIQUE (visit_id, key)
);

-- That somebody who visited nobody there answers for a village.
CREATE TABLE sign_offs (
    followup_id uuid NOT NULL REFERENCES followups,
    village text NOT NULL,
    signed_by uuid NOT NULL REFERENCES users,
    signed_at timestamptz NOT NULL,
    note_cipher bytea,
    PRIMARY KEY (followup_id, village)
);

-- A village is signed off once nothing is open there, by nobody who visited there; after that nothing
-- is opened or written down there. Whoever signs waits for whoever writes a result, and the other way
-- round, by the row of the follow-up.
CREATE FUNCTION sign_offs_allowed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE visitors uuid[];
BEGIN
    PERFORM FROM followups WHERE id = NEW.followup_id FOR UPDATE;
    IF EXISTS (SELECT FROM visits WHERE followup_id = NEW.followup_id AND village = NEW.village
                 AND state IN ('waiting', 'open')) THEN
        RAISE EXCEPTION 'somebody is still to be visited there'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'sign_offs_nothing_open';
    END IF;
    SELECT array_agg(DISTINCT w.id) INTO visitors
    FROM visits v JOIN visit_tries t ON t.visit_id = v.id,
        LATERAL (VALUES (t.by_id), (t.written_by)) AS w(id)
    WHERE v.followup_id = NEW.followup_id AND v.village = NEW.village;
    IF visitors IS NOT NULL THEN
        PERFORM need_another_person('sign_offs_another_person',
            ARRAY[NEW.signed_by], visitors, NEW.signed_at);
    END IF;
    RETURN NULL;
END $$;
-- It decides on a second person: no temporary table takes the place of those that it reads.
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION sign_offs_allowed() SET search_path = %I, pg_temp',
                   current_schema());
END $$;
CREATE TRIGGER sign_offs_allowed AFTER INSERT OR UPDATE ON sign_offs
    FOR EACH ROW EXECUTE FUNCTION sign_offs_allowed();

CREATE FUNCTION visits_not_signed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM followups WHERE id = NEW.followup_id FOR SHARE;
    IF EXISTS (SELECT FROM sign_offs
               WHERE followup_id = NEW.followup_id AND village = left(NEW.area_code, 12)) THEN
        RAISE EXCEPTION 'the village is signed off'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'visits_not_signed';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER visits_not_signed AFTER INSERT OR UPDATE OF state, area_code, followup_id ON visits
    FOR EACH ROW WHEN (NEW.state IN ('waiting', 'open')) EXECUTE FUNCTION visits_not_signed();

CREATE FUNCTION visit_tries_not_signed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE visit visits;
BEGIN
    SELECT * INTO STRICT visit FROM visits WHERE id = NEW.visit_id;
    PERFORM FROM followups WHERE id = visit.followup_id FOR SHARE;
    IF EXISTS (SELECT FROM sign_offs
               WHERE followup_id = visit.followup_id AND village = visit.village) THEN
        RAISE EXCEPTION 'the village is signed off'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'visits_not_signed';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER visit_tries_not_signed
    AFTER INSERT OR UPDATE OF visit_id, result, by_id, written_by ON visit_tries
    FOR EACH ROW EXECUTE FUNCTION visit_tries_not_signed();

-- The list that somebody takes along shows names: each person on it is told of, as of any disclosure.
-- A wider check takes its place in the same transaction; 0211 looks at the rows that are there.
-- squawk-ignore ban-drop-constraint
ALTER TABLE disclosures DROP CONSTRAINT disclosures_kind_check;
ALTER TABLE disclosures ADD CONSTRAINT disclosures_kind_check
    CHECK (kind IN ('contact', 'message', 'inbound', 'lookup', 'receipt', 'visit')) NOT VALID;
