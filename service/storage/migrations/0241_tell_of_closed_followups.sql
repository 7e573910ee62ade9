-- Webhooks hear that a follow-up is closed; and liaisons, who go to people and read reports.
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION tell_of_followup() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF is_told(NEW.department_id, 'followup.closed') THEN
        PERFORM write_event(
            NEW.department_id, 'followup.closed', NULL,
            (SELECT jsonb_build_object(
                'followup_id', NEW.id, 'run_id', NEW.root_run_id, 'missed', count(*),
                'reached', count(*) FILTER (WHERE state = 'reached'),
                'told', count(*) FILTER (WHERE state = 'told'))
             FROM visits WHERE followup_id = NEW.id),
            NEW.ended_at);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER tell AFTER UPDATE OF state ON followups FOR EACH ROW
    WHEN (NEW.state = 'closed' AND OLD.state <> 'closed') EXECUTE FUNCTION tell_of_followup();

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
        'bulletin.issued', 'followup.closed']) NOT VALID;

-- Users are some hundreds, so what is there is looked at at once.
-- squawk-ignore ban-drop-constraint
ALTER TABLE users DROP CONSTRAINT users_roles_check;
-- squawk-ignore constraint-missing-not-valid
ALTER TABLE users ADD CONSTRAINT users_roles_check CHECK (
    roles <@ ARRAY['admin', 'operator', 'approver', 'viewer', 'inspector', 'auditor', 'liaison']);
