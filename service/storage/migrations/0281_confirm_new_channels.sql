-- A new real channel waits, switched off, until a second person has confirmed where it leads. Channels from before stay as they
-- are.
ALTER TABLE channels
    ADD COLUMN waits_since timestamptz,
    ADD CONSTRAINT channels_waiting_is_off CHECK (
        waits_since IS NULL OR NOT enabled AND NOT simulated);

ALTER TABLE channel_changes
    -- It is of a new channel, which carries nothing before.
    ADD COLUMN creates boolean NOT NULL DEFAULT false,
    -- NULL: whoever runs the machine.
    ALTER COLUMN proposed_by DROP NOT NULL,
    ADD CONSTRAINT channel_changes_proposer CHECK (proposed_by IS NOT NULL OR creates);

-- A proposal that is confirmed when it is inserted is looked at, too.
DROP TRIGGER channel_changes_another_person ON channel_changes;
CREATE TRIGGER channel_changes_another_person AFTER INSERT OR UPDATE OF confirmed_by
    ON channel_changes FOR EACH ROW EXECUTE FUNCTION channel_changes_another_person();

CREATE FUNCTION channels_begin_by_two() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.simulated OR NEW.waits_since IS NOT NULL THEN
            RETURN NEW;
        END IF;
    ELSIF OLD.waits_since IS NULL OR NEW.waits_since IS NOT NULL OR EXISTS (
        SELECT FROM channel_changes c
        WHERE c.channel_id = NEW.id AND c.creates AND c.confirmed_at IS NOT NULL) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a new real channel waits until a second person has confirmed it'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'channels_begin_by_two';
END $$;
CREATE TRIGGER channels_begin_by_two BEFORE INSERT OR UPDATE OF waits_since ON channels
    FOR EACH ROW EXECUTE FUNCTION channels_begin_by_two();

-- No temporary table of the service's role takes the place of channel_changes.
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION channels_begin_by_two() SET search_path = %I, pg_temp',
        current_schema());
END $$;
