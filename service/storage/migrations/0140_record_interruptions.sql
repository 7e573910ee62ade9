-- What keeps texts from being sent, and what lets them go on: one row each, told to webhooks, counted by
-- /metrics, shown in the calendar and in the report of a campaign.

-- Why a campaign was moved, as a code; what people write stays in `reason`.
ALTER TABLE campaign_moves ADD COLUMN code text NOT NULL DEFAULT '';

-- A fire that waits for a person (`held`), or whose time passed while its campaign could not fire
-- (`missed`), has its row as well. A held one is released by whoever lets it go; its run follows.
ALTER TABLE campaign_fires
    DROP CONSTRAINT campaign_fires_outcome_check,
    ADD CONSTRAINT campaign_fires_outcome_check
        CHECK (outcome IN ('fired', 'skipped', 'held', 'missed')),
    ADD COLUMN code text NOT NULL DEFAULT '',
    ADD COLUMN released_at timestamptz,
    ADD COLUMN released_by uuid REFERENCES users,
    ADD CHECK (released_at IS NULL OR outcome IN ('held', 'fired')),
    ADD CHECK ((released_at IS NULL) = (released_by IS NULL));
CREATE INDEX campaign_fires_held ON campaign_fires (campaign_id) WHERE outcome = 'held';

-- expected_at: the next fire that has no row yet, while the campaign may not fire as well.
-- silent_since: it does not fire although it should, and somebody was told.
ALTER TABLE campaigns ADD COLUMN expected_at timestamptz, ADD COLUMN silent_since timestamptz;
UPDATE campaigns c SET expected_at = coalesce(next_fire_at, (
    SELECT max(at) FROM campaign_moves WHERE campaign_id = c.id))
WHERE state IN ('scheduled', 'running', 'paused', 'held');

CREATE TABLE interruptions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL,
    code text NOT NULL DEFAULT '',
    by_person boolean NOT NULL DEFAULT false,
    department_id uuid REFERENCES departments,  -- NULL: it concerns all
    campaign_id uuid REFERENCES campaigns,
    planned_at timestamptz,                     -- of a fire
    channel_id smallint REFERENCES channels ON DELETE SET NULL,
    stop_id bigint REFERENCES stops,
    at timestamptz NOT NULL
);
CREATE INDEX interruptions_campaign ON interruptions (campaign_id, at);
CREATE INDEX interruptions_at ON interruptions (at);
CREATE INDEX interruptions_kind ON interruptions (kind, code);

ALTER TABLE webhooks
    DROP CONSTRAINT webhooks_events_check,
    ADD CONSTRAINT webhooks_events_check CHECK (events <> '{}' AND events <@ ARRAY[
        'message.final', 'run.finished', 'inbound.received', 'import.finished', 'quota.warning',
        'webhook.disabled', 'webhook.test', 'stop_all.stopped', 'stop_all.lifted',
        'campaign.held', 'campaign.released', 'campaign.paused', 'campaign.resumed',
        'campaign.returned', 'campaign.reopened', 'campaign.not_firing', 'fire.held',
        'fire.released', 'fire.missed', 'fire.skipped', 'fire.late', 'channel.shut',
        'channel.recovered']);

-- A channel concerns the departments that may use it.
CREATE FUNCTION tell_of_interruption() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM write_event(
        d.id, NEW.kind, NULL,
        jsonb_strip_nulls(jsonb_build_object(
            'code', NEW.code, 'by', CASE WHEN NEW.by_person THEN 'person' ELSE 'clock' END,
            'campaign_id', NEW.campaign_id, 'planned_at', NEW.planned_at,
            'channel_id', NEW.channel_id, 'stop_id', NEW.stop_id)),
        NEW.at)
    FROM departments d
    WHERE (NEW.department_id IS NULL OR d.id = NEW.department_id)
      AND (NEW.channel_id IS NULL OR d.channels IS NULL OR NEW.channel_id = ANY (d.channels))
      AND is_told(d.id, NEW.kind);
    RETURN NULL;
END $$;
CREATE TRIGGER tell AFTER INSERT ON interruptions FOR EACH ROW
    EXECUTE FUNCTION tell_of_interruption();

CREATE FUNCTION note_move() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    found text := CASE
        WHEN NEW.to_state IN ('held', 'paused', 'returned') THEN NEW.to_state
        WHEN NEW.from_state = 'held' AND NEW.to_state = 'scheduled' THEN 'released'
        WHEN NEW.from_state = 'paused' AND NEW.to_state IN ('scheduled', 'running') THEN 'resumed'
        WHEN NEW.from_state IN ('scheduled', 'running') AND NEW.to_state = 'pending_approval'
            THEN 'reopened' END;
BEGIN
    IF found IS NOT NULL THEN
        INSERT INTO interruptions (kind, code, by_person, department_id, campaign_id, at)
        SELECT 'campaign.' || found, NEW.code, NEW.user_id IS NOT NULL, c.department_id, c.id,
               NEW.at
        FROM campaigns c WHERE c.id = NEW.campaign_id;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER note AFTER INSERT ON campaign_moves FOR EACH ROW EXECUTE FUNCTION note_move();

-- A fire that takes place in time is nothing to tell of; what the calendar leaves out is no surprise.
CREATE FUNCTION note_fire() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    found text := CASE
        WHEN NEW.outcome = 'held' AND NEW.released_at IS NOT NULL THEN 'released'
        WHEN NEW.outcome = 'fired' AND NEW.code = 'late' THEN 'late'
        WHEN NEW.outcome <> 'fired' THEN NEW.outcome END;
BEGIN
    IF found IS NOT NULL AND NEW.code <> 'calendar' THEN
        INSERT INTO interruptions
            (kind, code, by_person, department_id, campaign_id, planned_at, at)
        SELECT 'fire.' || found, NEW.code, NEW.code = 'person' OR found = 'released',
               c.department_id, c.id, NEW.planned_at, NEW.at
        FROM campaigns c WHERE c.id = NEW.campaign_id;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER note AFTER INSERT OR UPDATE ON campaign_fires FOR EACH ROW
    EXECUTE FUNCTION note_fire();

CREATE FUNCTION note_silence() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO interruptions (kind, code, department_id, campaign_id, at)
    VALUES ('campaign.not_firing', CASE WHEN NEW.next_fire_at IS NULL THEN 'no_next_fire'
            ELSE 'trouble' END, NEW.department_id, NEW.id, NEW.silent_since);
    RETURN NULL;
END $$;
CREATE TRIGGER note_silence AFTER UPDATE OF silent_since ON campaigns FOR EACH ROW
    WHEN (NEW.silent_since IS NOT NULL AND OLD.silent_since IS NULL)
    EXECUTE FUNCTION note_silence();

CREATE FUNCTION note_stop() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO interruptions (kind, code, by_person, stop_id, at)
        VALUES ('stop_all.stopped', NEW.cause, NEW.cause = 'person', NEW.id, NEW.stopped_at);
    ELSIF NEW.lifted_at IS NOT NULL AND OLD.lifted_at IS NULL THEN
        INSERT INTO interruptions (kind, code, by_person, stop_id, at)
        VALUES ('stop_all.lifted', NEW.cause, true, NEW.id, NEW.lifted_at);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER note AFTER INSERT OR UPDATE ON stops FOR EACH ROW EXECUTE FUNCTION note_stop();

CREATE FUNCTION note_channel() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO interruptions (kind, code, channel_id, at)
    SELECT CASE NEW.kind WHEN 'opened' THEN 'channel.shut' ELSE 'channel.recovered' END,
           CASE NEW.kind WHEN 'opened' THEN b.cause ELSE '' END, NEW.channel_id, NEW.at
    FROM lane_breakers b WHERE b.channel_id = NEW.channel_id;
    RETURN NULL;
END $$;
CREATE TRIGGER note AFTER INSERT ON lane_events FOR EACH ROW
    WHEN (NEW.kind IN ('opened', 'closed')) EXECUTE FUNCTION note_channel();
