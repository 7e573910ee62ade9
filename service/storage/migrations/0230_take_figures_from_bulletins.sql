-- From the bulletin of which week the figures on cases in a text are taken; no person types them
-- (decision 0531). What was planned before stays as it is; whoever edits or submits it is asked for a
-- week. A process of an earlier version that plans such a text meanwhile is refused.
--
-- The week of a campaign's first text has a table of its own: the last release takes each column of
-- `campaigns` for a field of a campaign, and knows none of this name.
SET LOCAL lock_timeout = '5s';

ALTER TABLE campaign_texts ADD COLUMN figures_from text;

CREATE TABLE campaign_figures (
    campaign_id uuid PRIMARY KEY REFERENCES campaigns ON DELETE CASCADE,
    figures_from text NOT NULL
);

CREATE FUNCTION figures_come_from_a_bulletin() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.text_values ?| ARRAY['周期', '起数', '金额', '类型'] AND NOT EXISTS (
        SELECT FROM bulletins WHERE week = NEW.figures_from) THEN
        RAISE EXCEPTION 'figures on cases are taken from a bulletin that was issued'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'figures_come_from_a_bulletin';
    END IF;
    RETURN NULL;
END $$;
-- The same of a campaign's first text, when the transaction ends: its week is written after it.
CREATE FUNCTION first_figures_come_from_a_bulletin() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    campaign uuid;
BEGIN
    IF TG_TABLE_NAME = 'campaigns' THEN
        campaign := NEW.id;
    ELSE
        campaign := OLD.campaign_id;
    END IF;
    IF EXISTS (
        SELECT FROM campaigns c
        WHERE c.id = campaign AND c.text_values ?| ARRAY['周期', '起数', '金额', '类型'] AND NOT EXISTS (
            SELECT FROM campaign_figures f JOIN bulletins b ON b.week = f.figures_from
            WHERE f.campaign_id = c.id)) THEN
        RAISE EXCEPTION 'figures on cases are taken from a bulletin that was issued'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'figures_come_from_a_bulletin';
    END IF;
    RETURN NULL;
END $$;
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION figures_come_from_a_bulletin SET search_path = %I, pg_temp',
                   current_schema());
    EXECUTE format('ALTER FUNCTION first_figures_come_from_a_bulletin SET search_path = %I, pg_temp',
                   current_schema());
END $$;

CREATE TRIGGER figures_come_from_a_bulletin AFTER INSERT OR UPDATE OF text_values, figures_from
    ON campaign_texts FOR EACH ROW WHEN (NEW.text_values <> '{}')
    EXECUTE FUNCTION figures_come_from_a_bulletin();
CREATE CONSTRAINT TRIGGER figures_come_from_a_bulletin AFTER INSERT OR UPDATE OF text_values
    ON campaigns DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.text_values <> '{}')
    EXECUTE FUNCTION first_figures_come_from_a_bulletin();
CREATE CONSTRAINT TRIGGER figures_come_from_a_bulletin AFTER UPDATE OR DELETE
    ON campaign_figures DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    EXECUTE FUNCTION first_figures_come_from_a_bulletin();
