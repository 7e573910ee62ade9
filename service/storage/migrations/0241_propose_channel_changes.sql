-- Settings of a real channel that say where its credentials and numbers go, or who may report to it: one administrator proposes
-- them, another confirms. What waits is encrypted as channels' settings are; `names` are those of the settings.
CREATE TABLE channel_changes (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    channel_id smallint NOT NULL REFERENCES channels ON DELETE CASCADE,
    change_cipher bytea NOT NULL,
    names text[] NOT NULL,
    reason text NOT NULL,
    proposed_by uuid NOT NULL REFERENCES users,
    proposed_at timestamptz NOT NULL,
    confirmed_by uuid REFERENCES users,
    confirmed_at timestamptz,
    -- Another proposal took its place before it was confirmed.
    replaced_at timestamptz,
    CONSTRAINT channel_changes_two_persons CHECK (confirmed_by <> proposed_by),
    CHECK ((confirmed_by IS NULL) = (confirmed_at IS NULL)),
    CHECK (confirmed_at IS NULL OR replaced_at IS NULL)
);
CREATE INDEX channel_changes_channel ON channel_changes (channel_id, id);
CREATE UNIQUE INDEX channel_changes_one_waits ON channel_changes (channel_id)
    WHERE confirmed_at IS NULL AND replaced_at IS NULL;

CREATE FUNCTION channel_changes_another_person() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM need_another_person('channel_changes_another_person',
        ARRAY[NEW.confirmed_by], ARRAY[NEW.proposed_by], NEW.confirmed_at);
    RETURN NULL;
END $$;
CREATE TRIGGER channel_changes_another_person AFTER UPDATE OF confirmed_by ON channel_changes
    FOR EACH ROW EXECUTE FUNCTION channel_changes_another_person();
