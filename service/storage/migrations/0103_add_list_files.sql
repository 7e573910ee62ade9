-- Lists for a carrier that sends by itself (channels of the kind list_file). A person draws a list:
-- while it is drawn the channel hands off, and each text that it accepts stands on the list. When
-- nothing more comes, no connection holds the channel any more, and the list is ready (decision
-- 0398).
SET LOCAL lock_timeout = '5s';

CREATE TABLE list_files (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    channel_id smallint NOT NULL REFERENCES channels,
    -- Whose subscribers these are: only this carrier's own people draw and fetch it.
    carrier text NOT NULL,
    -- lapsed: nobody fetched it in time; its texts never left.
    state text NOT NULL DEFAULT 'drawing' CHECK (
        state IN ('drawing', 'closing', 'ready', 'empty', 'lapsed')),
    drawn_by uuid NOT NULL REFERENCES users,
    drawn_at timestamptz NOT NULL,
    -- How many looks there were, how many parts at the last one, how many looks ago that changed.
    looks integer NOT NULL DEFAULT 0,
    seen integer NOT NULL DEFAULT 0,
    quiet_looks integer NOT NULL DEFAULT 0,
    ready_at timestamptz,
    lines integer NOT NULL DEFAULT 0,
    -- The last time; a list may be fetched again.
    fetched_at timestamptz,
    fetched_by uuid REFERENCES users,
    fetches integer NOT NULL DEFAULT 0,
    CHECK ((fetched_at IS NULL) = (fetches = 0))
);
CREATE UNIQUE INDEX list_files_open ON list_files (channel_id) WHERE state IN ('drawing', 'closing');

-- A line of a list: one hand-off, under the reference that `parts` has for it. Nothing is on two
-- lists.
CREATE TABLE list_file_lines (
    list_file_id uuid NOT NULL REFERENCES list_files,
    line integer NOT NULL,
    run_id uuid NOT NULL,
    no integer NOT NULL,
    attempt integer NOT NULL,
    PRIMARY KEY (list_file_id, line),
    UNIQUE (run_id, no, attempt)
);

-- What the carrier gave back: a file with a line a text, or counts of one run.
CREATE TABLE list_file_results (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    list_file_id uuid NOT NULL REFERENCES list_files,
    run_id uuid,
    given_by uuid NOT NULL REFERENCES users,
    given_at timestamptz NOT NULL,
    file_sha256 text,
    counts jsonb NOT NULL,
    CHECK ((file_sha256 IS NULL) = (run_id IS NOT NULL))
);
CREATE INDEX list_file_results_list ON list_file_results (list_file_id, id);

-- A list is of a channel that leads to the carrier, and holds only the carrier's own subscribers.
CREATE FUNCTION lists_stay_with_the_carrier() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM channels c WHERE c.id = NEW.channel_id AND c.kind = 'list_file'
          AND NEW.carrier = coalesce(
              c.operated_by, CASE WHEN cardinality(c.carriers) = 1 THEN c.carriers[1] END)) THEN
        RAISE EXCEPTION 'a list is of a channel that leads to its carrier'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'lists_stay_with_the_carrier';
    END IF;
    IF NOT EXISTS (
        SELECT FROM users u JOIN departments d ON d.id = u.department_id
        WHERE u.id = NEW.drawn_by AND d.carrier = NEW.carrier) THEN
        RAISE EXCEPTION 'a list is drawn by somebody of its carrier'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'lists_stay_with_the_carrier';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER lists_stay_with_the_carrier AFTER INSERT OR UPDATE OF channel_id, carrier, drawn_by
    ON list_files FOR EACH ROW EXECUTE FUNCTION lists_stay_with_the_carrier();

CREATE FUNCTION list_lines_stay_with_the_carrier() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM (SELECT DISTINCT list_file_id, run_id FROM new_lines) n
        JOIN list_files f ON f.id = n.list_file_id
        JOIN runs r ON r.id = n.run_id JOIN departments d ON d.id = r.department_id
        WHERE d.carrier IS DISTINCT FROM f.carrier) THEN
        RAISE EXCEPTION 'a list holds its carrier''s own subscribers alone'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'list_lines_stay_with_the_carrier';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER list_lines_stay_with_the_carrier AFTER INSERT ON list_file_lines
    REFERENCING NEW TABLE AS new_lines
    FOR EACH STATEMENT EXECUTE FUNCTION list_lines_stay_with_the_carrier();

DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION lists_stay_with_the_carrier SET search_path = %I, pg_temp',
                   current_schema());
    EXECUTE format('ALTER FUNCTION list_lines_stay_with_the_carrier SET search_path = %I, pg_temp',
                   current_schema());
END $$;
