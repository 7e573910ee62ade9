-- Household rounds: one household after another is told at its door, and counted by village.
SET LOCAL lock_timeout = '5s';

CREATE TABLE visit_rounds (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    department_id uuid NOT NULL REFERENCES departments,
    name text NOT NULL,
    area_code text NOT NULL REFERENCES areas,
    -- The first day of a visit, and the day until which all should be done.
    starts_on date NOT NULL,
    due_on date NOT NULL,
    -- Whether departments with an area visit the households there.
    with_towns boolean NOT NULL,
    -- closed: every village is signed off; expired: nobody ended it, and its labels have gone.
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'closed', 'cancelled', 'expired')),
    started_by uuid NOT NULL REFERENCES users,
    started_at timestamptz NOT NULL,
    ended_at timestamptz,
    -- Why somebody ended it before its end.
    ended_why text NOT NULL DEFAULT '',
    -- Whether it was forgotten which households they were; counts and tries stay.
    labels_dropped boolean NOT NULL DEFAULT false,
    CONSTRAINT visit_rounds_days_check CHECK (starts_on <= due_on),
    CONSTRAINT visit_rounds_end_check CHECK ((state = 'open') = (ended_at IS NULL))
);
CREATE INDEX visit_rounds_department ON visit_rounds (department_id, id);
CREATE INDEX visit_rounds_labels ON visit_rounds (due_on) WHERE NOT labels_dropped;

-- The approved texts that are read out, in their order.
CREATE TABLE visit_round_texts (
    round_id uuid NOT NULL REFERENCES visit_rounds,
    no smallint NOT NULL,
    version_id uuid NOT NULL REFERENCES template_versions,
    PRIMARY KEY (round_id, no)
);

-- The villages of a round, as they were when it began, and who answers for each.
CREATE TABLE visit_round_villages (
    round_id uuid NOT NULL REFERENCES visit_rounds,
    village text NOT NULL,
    signed_by uuid REFERENCES users,
    signed_at timestamptz,
    note_cipher bytea,
    PRIMARY KEY (round_id, village),
    CONSTRAINT visit_round_villages_signed_check CHECK ((signed_by IS NULL) = (signed_at IS NULL))
);

-- A household that somebody went to: its label encrypted, and found by a keyed hash. Both are NULL
-- once the label has gone.
CREATE TABLE households (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    round_id uuid NOT NULL,
    village text NOT NULL,
    label_hash bytea CHECK (octet_length(label_hash) = 16),
    label_cipher bytea,
    -- open: nobody was at home; the others end it.
    state text NOT NULL CHECK (state IN ('open', 'told', 'refused', 'moved', 'excused')),
    not_home smallint NOT NULL DEFAULT 0,
    -- Heads that were told by the visit that ended it.
    spoken_to smallint NOT NULL DEFAULT 0,
    -- Two results contradict each other.
    disputed boolean NOT NULL DEFAULT false,
    FOREIGN KEY (round_id, village) REFERENCES visit_round_villages,
    UNIQUE (round_id, village, label_hash),
    CONSTRAINT households_label_check CHECK ((label_hash IS NULL) = (label_cipher IS NULL)),
    CONSTRAINT households_spoken_check CHECK ((state = 'told') = (spoken_to > 0))
);
CREATE INDEX households_village ON households (round_id, village, id);
CREATE INDEX households_labelled ON households (round_id) WHERE label_hash IS NOT NULL;

-- What came of going there, each time; rows are only added. key: given by whoever writes it down, so
-- that a phone which sends it twice, or late, writes it once.
CREATE TABLE household_tries (
    household_id uuid NOT NULL REFERENCES households,
    no smallint NOT NULL,
    key uuid NOT NULL,
    result text NOT NULL CHECK (result IN ('told', 'not_home', 'refused', 'moved', 'excused')),
    spoken_to smallint NOT NULL,
    -- Which text was read out; NULL: nobody has said.
    text_no smallint,
    on_day date NOT NULL,
    -- Who was there, and who wrote it down.
    by_id uuid NOT NULL REFERENCES users,
    written_by uuid NOT NULL REFERENCES users,
    note_cipher bytea,
    at timestamptz NOT NULL,
    -- It came when another result had ended it.
    disputed boolean NOT NULL,
    PRIMARY KEY (household_id, no),
    UNIQUE (household_id, key),
    CONSTRAINT household_tries_spoken_check CHECK ((result = 'told') = (spoken_to > 0))
);

-- A village is signed off once nothing is open there, by nobody who visited there; after that nothing
-- is written down there. Whoever signs waits for whoever writes a result, and the other way round, by
-- the row of the village.
CREATE FUNCTION round_village_signed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE visitors uuid[];
BEGIN
    IF EXISTS (SELECT FROM households
               WHERE round_id = NEW.round_id AND village = NEW.village AND state = 'open') THEN
        RAISE EXCEPTION 'a household is still to be visited there'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'visit_round_villages_nothing_open';
    END IF;
    SELECT array_agg(DISTINCT w.id) INTO visitors
    FROM households h JOIN household_tries t ON t.household_id = h.id,
        LATERAL (VALUES (t.by_id), (t.written_by)) AS w(id)
    WHERE h.round_id = NEW.round_id AND h.village = NEW.village;
    IF visitors IS NOT NULL THEN
        PERFORM need_another_person('visit_round_villages_another_person',
            ARRAY[NEW.signed_by], visitors, NEW.signed_at);
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION households_not_signed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    home households;
    signer uuid;
BEGIN
    IF TG_TABLE_NAME = 'households' THEN
        home := NEW;
    ELSE
        SELECT * INTO STRICT home FROM households WHERE id = NEW.household_id;
    END IF;
    SELECT signed_by INTO signer FROM visit_round_villages
    WHERE round_id = home.round_id AND village = home.village FOR SHARE;
    IF signer IS NOT NULL THEN
        RAISE EXCEPTION 'the village is signed off'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'households_not_signed';
    END IF;
    RETURN NULL;
END $$;
-- They decide on a second person: no temporary table takes the place of those that they read.
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION round_village_signed() SET search_path = %I, pg_temp',
                   current_schema());
    EXECUTE format('ALTER FUNCTION households_not_signed() SET search_path = %I, pg_temp',
                   current_schema());
END $$;
CREATE TRIGGER round_village_signed
    AFTER INSERT OR UPDATE OF signed_by, signed_at, round_id, village ON visit_round_villages
    FOR EACH ROW WHEN (NEW.signed_by IS NOT NULL) EXECUTE FUNCTION round_village_signed();
CREATE TRIGGER households_not_signed
    AFTER INSERT OR UPDATE OF state, round_id, village ON households
    FOR EACH ROW EXECUTE FUNCTION households_not_signed();
CREATE TRIGGER household_tries_not_signed
    AFTER INSERT OR UPDATE OF household_id, result, by_id, written_by ON household_tries
    FOR EACH ROW EXECUTE FUNCTION households_not_signed();
