-- The values that a plan gives its texts once for all: {"周期": "1月10日至16日", "起数": "12"}. The
-- first text's stand with the campaign, those of the texts after it with each. They are part of what
-- is approved. A constant default rewrites no row.
SET LOCAL lock_timeout = '5s';

ALTER TABLE campaigns ADD COLUMN text_values jsonb NOT NULL DEFAULT '{}';
ALTER TABLE campaign_texts ADD COLUMN text_values jsonb NOT NULL DEFAULT '{}';

-- Figures on cases come from the police or from the county's own office, whatever the program says.
-- Asked when they are written: whoever is of another kind afterwards can still cancel a campaign.
CREATE FUNCTION figures_come_from_the_police() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.text_values ?| ARRAY['周期', '起数', '金额', '类型'] AND NOT EXISTS (
        SELECT FROM campaigns c
        JOIN campaigns o ON o.id = coalesce(c.leg_of, c.id) -- a leg has the figures of its plan
        JOIN departments d ON d.id = o.department_id
        WHERE c.id = CASE TG_TABLE_NAME WHEN 'campaigns' THEN (to_jsonb(NEW)->>'id')::uuid
                     ELSE (to_jsonb(NEW)->>'campaign_id')::uuid END
          AND d.kind IN ('police', 'county')) THEN
        RAISE EXCEPTION 'figures on cases come from the police or the county'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'figures_come_from_the_police';
    END IF;
    RETURN NULL;
END $$;
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION figures_come_from_the_police SET search_path = %I, pg_temp',
                   current_schema());
END $$;

CREATE TRIGGER figures_come_from_the_police AFTER INSERT OR UPDATE OF text_values
    ON campaigns FOR EACH ROW WHEN (NEW.text_values <> '{}')
    EXECUTE FUNCTION figures_come_from_the_police();
CREATE TRIGGER figures_come_from_the_police AFTER INSERT OR UPDATE OF text_values
    ON campaign_texts FOR EACH ROW WHEN (NEW.text_values <> '{}')
    EXECUTE FUNCTION figures_come_from_the_police();
