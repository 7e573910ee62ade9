-- Whom an approval was for: of each person of the target the first four octets of the keyed hash of the
-- phone, a megabyte for 250,000 people. planned_at: NULL for the people of the approval in force; else
-- those of a fire that is held because they are others, who take its place when it is released.
CREATE TABLE campaign_targets (
    campaign_id uuid NOT NULL REFERENCES campaigns,
    planned_at timestamptz,
    people integer[] NOT NULL,
    taken_at timestamptz NOT NULL,
    UNIQUE NULLS NOT DISTINCT (campaign_id, planned_at)
);
ALTER TABLE campaign_targets ALTER COLUMN people SET STORAGE EXTERNAL;  -- hashes do not compress

-- Of so many people of a fire, so many were not in the approved target.
ALTER TABLE campaign_fires ADD COLUMN others integer, ADD COLUMN people integer,
    ADD CHECK ((others IS NULL) = (people IS NULL));
ALTER TABLE interruptions ADD COLUMN others integer, ADD COLUMN people integer;

-- A campaign that has ended fires no more, and a fire that is decided waits no more.
CREATE FUNCTION forget_targets() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM campaign_targets WHERE campaign_id = NEW.id;
    RETURN NULL;
END $$;
CREATE TRIGGER forget_targets AFTER UPDATE OF state ON campaigns FOR EACH ROW
    WHEN (NEW.state IN ('done', 'cancelled', 'rejected')) EXECUTE FUNCTION forget_targets();

CREATE FUNCTION forget_target_of_fire() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM campaign_targets
    WHERE campaign_id = NEW.campaign_id AND planned_at = NEW.planned_at;
    RETURN NULL;
END $$;
CREATE TRIGGER forget_target AFTER UPDATE OF outcome ON campaign_fires FOR EACH ROW
    WHEN (OLD.outcome = 'held' AND NEW.outcome <> 'held')
    EXECUTE FUNCTION forget_target_of_fire();

CREATE OR REPLACE FUNCTION note_fire() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    found text := CASE
        WHEN NEW.outcome = 'held' AND NEW.released_at IS NOT NULL THEN 'released'
        WHEN NEW.outcome = 'fired' AND NEW.code = 'late' THEN 'late'
        WHEN NEW.outcome <> 'fired' THEN NEW.outcome END;
BEGIN
    IF found IS NOT NULL AND NEW.code <> 'calendar' THEN
        INSERT INTO interruptions
            (kind, code, by_person, department_id, campaign_id, planned_at, others, people, at)
        SELECT 'fire.' || found, NEW.code, NEW.code = 'person' OR found = 'released',
               c.department_id, c.id, NEW.planned_at, NEW.others, NEW.people, NEW.at
        FROM campaigns c WHERE c.id = NEW.campaign_id;
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION tell_of_interruption() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM write_event(
        d.id, NEW.kind, NULL,
        jsonb_strip_nulls(jsonb_build_object(
            'code', NEW.code, 'by', CASE WHEN NEW.by_person THEN 'person' ELSE 'clock' END,
            'campaign_id', NEW.campaign_id, 'planned_at', NEW.planned_at,
            'others', NEW.others, 'people', NEW.people,
            'channel_id', NEW.channel_id, 'stop_id', NEW.stop_id)),
        NEW.at)
    FROM departments d
    WHERE (NEW.department_id IS NULL OR d.id = NEW.department_id)
      AND (NEW.channel_id IS NULL OR d.channels IS NULL OR NEW.channel_id = ANY (d.channels))
      AND is_told(d.id, NEW.kind);
    RETURN NULL;
END $$;
