-- Goals, whole, each time anew; the last row is in force.
CREATE TABLE goals (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    goals jsonb NOT NULL,
    reason text NOT NULL,
    set_by uuid NOT NULL REFERENCES users,
    set_at timestamptz NOT NULL
);

-- What the public was shown, as it was shown: never computed anew, never changed. Of a quarter there
-- is one; of a week one for each version of its bulletin.
CREATE TABLE releases (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    period text NOT NULL CHECK (period ~ '^20[0-9]{2}-(W[0-5][0-9]|Q[1-4])$'),
    version smallint NOT NULL CHECK (version > 0),
    cells jsonb NOT NULL,
    released_at timestamptz NOT NULL,
    CONSTRAINT releases_once UNIQUE (period, version)
);

-- The week's figures as issued. figures: exact, for the office; others see parts of them.
CREATE TABLE bulletins (
    week text NOT NULL CHECK (week ~ '^20[0-9]{2}-W[0-5][0-9]$'),
    version smallint NOT NULL CHECK (version > 0),
    number text NOT NULL,
    figures jsonb NOT NULL,
    -- Of number, week, version and figures.
    sha256 text NOT NULL,
    reason text NOT NULL,
    issued_by uuid NOT NULL REFERENCES users,
    issued_at timestamptz NOT NULL,
    release_id uuid NOT NULL REFERENCES releases,
    PRIMARY KEY (week, version),
    CONSTRAINT bulletins_corrected_with_reason CHECK (version = 1 OR reason <> '')
);
CREATE INDEX bulletins_release ON bulletins (release_id);

CREATE FUNCTION tell_of_bulletin() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM write_event(
        d.id, 'bulletin.issued', NULL,
        jsonb_build_object('week', NEW.week, 'bulletin_version', NEW.version, 'number', NEW.number),
        NEW.issued_at)
    FROM departments d WHERE is_told(d.id, 'bulletin.issued');
    RETURN NULL;
END $$;
CREATE TRIGGER tell AFTER INSERT ON bulletins FOR EACH ROW EXECUTE FUNCTION tell_of_bulletin();

-- It is put back at once, wider.
-- squawk-ignore ban-drop-constraint
ALTER TABLE webhooks DROP CONSTRAINT webhooks_events_check;
ALTER TABLE webhooks ADD CONSTRAINT webhooks_events_check CHECK (
    events <> '{}' AND events <@ ARRAY[
        'message.final', 'run.finished', 'inbound.received', 'import.finished', 'quota.warning',
        'webhook.disabled', 'webhook.test', 'stop_all.stopped', 'stop_all.lifted',
        'campaign.held', 'campaign.released', 'campaign.paused', 'campaign.resumed',
        'campaign.returned', 'campaign.reopened', 'campaign.not_firing', 'fire.held',
        'fire.released', 'fire.missed', 'fire.skipped', 'fire.late', 'fire.leg_left_out',
        'leg.asked', 'leg.withdrawn', 'leg.taken', 'leg.returned', 'leg.left_out',
        'leg.cancelled', 'channel.shut', 'channel.recovered',
        'text.revised', 'text.corrected', 'text.withdrawn',
        'bulletin.issued']) NOT VALID;
