-- The words of an approved text elsewhere: on a screen, from a loudspeaker, on a poster (decision
-- 0561). Rows are only added; of a version the newest of each kind counts. One that was edited so
-- that its words are others needs a second person.
SET LOCAL lock_timeout = '5s';

CREATE TABLE wordings (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    version_id uuid NOT NULL REFERENCES template_versions,
    kind text NOT NULL CHECK (
        kind IN ('led', 'loudspeaker', 'wechat', 'poster', 'letter', 'counter', 'atm')),
    text text NOT NULL,
    seconds integer,
    -- Whether it has, between its frame, the words of the text, in whole sentences.
    same_words boolean NOT NULL,
    -- What lint says of its words, where they are others.
    lint jsonb NOT NULL DEFAULT '[]',
    made_by uuid NOT NULL REFERENCES users,
    made_at timestamptz NOT NULL,
    approved_by uuid REFERENCES users,
    -- In whose place a deputy approved.
    approved_for uuid REFERENCES users,
    approved_at timestamptz,
    CONSTRAINT wordings_two_persons CHECK (
        approved_by IS NULL OR (
            NOT same_words AND approved_by <> made_by AND approved_for IS DISTINCT FROM made_by
            AND approved_at IS NOT NULL))
);
CREATE INDEX wordings_version ON wordings (version_id, kind, id);

CREATE FUNCTION wordings_another_person() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM need_another_person('wordings_another_person',
        ARRAY[NEW.approved_by, NEW.approved_for], ARRAY[NEW.made_by], NEW.approved_at);
    RETURN NULL;
END $$;
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION wordings_another_person SET search_path = %I, pg_temp',
                   current_schema());
END $$;
CREATE TRIGGER wordings_another_person AFTER INSERT OR UPDATE OF approved_by, approved_for
    ON wordings FOR EACH ROW EXECUTE FUNCTION wordings_another_person();
