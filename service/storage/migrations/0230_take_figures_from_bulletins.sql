-- From the bulletin of which week the figures on cases in a text are taken; no person types them
-- (decision 0531). What was planned before stays as it is; whoever edits or submits it is asked for a
-- week. A process of an earlier version that plans such a text meanwhile is refused.
SET LOCAL lock_timeout = '5s';

ALTER TABLE campaigns ADD COLUMN figures_from text;
ALTER TABLE campaign_texts ADD COLUMN figures_from text;

CREATE FUNCTION figures_come_from_a_bulletin() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.text_values ?| ARRAY['周期', '起数', '金额', '类型'] AND NOT EXISTS (
        SELECT FROM bulletins WHERE week = NEW.figures_from) THEN
        RAISE EXCEPTION 'figures on cases are taken from a bulletin that was issued'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'figures_come_from_a_bulletin';
    END IF;
    RETURN NULL;
END $$;
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION figures_come_from_a_bulletin SET search_path = %I, pg_temp',
                   current_schema());
END $$;

CREATE TRIGGER figures_come_from_a_bulletin AFTER INSERT OR UPDATE OF text_values, figures_from
    ON campaigns FOR EACH ROW WHEN (NEW.text_values <> '{}')
    EXECUTE FUNCTION figures_come_from_a_bulletin();
CREATE TRIGGER figures_come_from_a_bulletin AFTER INSERT OR UPDATE OF text_values, figures_from
    ON campaign_texts FOR EACH ROW WHEN (NEW.text_values <> '{}')
    EXECUTE FUNCTION figures_come_from_a_bulletin();
