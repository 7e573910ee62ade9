-- A department is told when the use of one of its quotas reaches four fifths; and an index for what goes
-- with an event.

CREATE INDEX webhook_deliveries_event ON webhook_deliveries (event_id);

CREATE FUNCTION tell_of_quota() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    quota bigint;
BEGIN
    SELECT CASE NEW.span WHEN 'day' THEN daily_quota WHEN 'month' THEN monthly_quota
           ELSE yearly_quota END INTO quota
    FROM departments WHERE id = NEW.department_id;
    IF NEW.parts * 5 >= quota * 4 AND OLD.parts * 5 < quota * 4
        AND is_told(NEW.department_id, 'quota.warning') THEN
        PERFORM write_event(
            NEW.department_id, 'quota.warning', NULL,
            jsonb_build_object(
                'span', NEW.span, 'since', NEW.since, 'used', NEW.parts, 'quota', quota),
            now());
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER tell AFTER UPDATE OF parts ON department_use FOR EACH ROW
    WHEN (NEW.parts > OLD.parts) EXECUTE FUNCTION tell_of_quota();
