-- A step of a sequence that did not take place, or came late, is told of as a fire is. missed_at: when
-- it was noticed that its time had passed while its campaign could not fire.
ALTER TABLE sequence_steps ADD COLUMN missed_at timestamptz;

CREATE FUNCTION note_step() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    found text := CASE
        WHEN NEW.outcome IS NULL AND NEW.missed_at IS NOT NULL THEN 'missed'
        WHEN NEW.outcome = 'skipped' THEN 'skipped'
        WHEN NEW.at > NEW.due_at + interval '15 minutes' OR NEW.missed_at IS NOT NULL THEN 'late'
        END;
BEGIN
    IF found IS NOT NULL THEN
        INSERT INTO interruptions
            (kind, code, by_person, department_id, campaign_id, planned_at, at)
        SELECT 'fire.' || found,
               CASE WHEN found <> 'missed' THEN CASE WHEN NEW.note = 'too late to fire'
                    OR found = 'late' THEN 'late' ELSE 'person' END
               ELSE coalesce(nullif((
                   SELECT m.code FROM campaign_moves m WHERE m.campaign_id = c.id
                   ORDER BY m.id DESC LIMIT 1), ''), c.state) END,
               found = 'skipped' AND NEW.note <> 'too late to fire', c.department_id, c.id,
               NEW.planned_at, coalesce(NEW.at, NEW.missed_at)
        FROM campaigns c WHERE c.id = NEW.campaign_id;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER note AFTER UPDATE OF outcome, missed_at ON sequence_steps FOR EACH ROW
    WHEN (NEW.outcome IS DISTINCT FROM OLD.outcome
          OR NEW.missed_at IS NOT NULL AND OLD.missed_at IS NULL)
    EXECUTE FUNCTION note_step();
