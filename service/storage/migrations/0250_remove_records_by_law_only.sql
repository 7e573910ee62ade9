-- What the service's role may not do itself with the audit trail, and the one way in which old
-- records go. The functions run as the owner of the tables (SECURITY DEFINER).

-- When the database made an entry or a disclosure: its id says so, whatever the entry itself says.
-- A record is past its duty (three years) only if both instants are, by the database's clock.
CREATE FUNCTION past_record_duty(id uuid, at timestamptz) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT greatest(at, coalesce(uuid_extract_timestamp(id), at)) < now() - interval '1096 days'
$$;

CREATE OR REPLACE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_TABLE_NAME = 'audit_entries' AND TG_OP = 'DELETE' THEN
        IF past_record_duty(OLD.id, OLD.at) THEN
            RETURN OLD;
        END IF;
    END IF;
    RAISE EXCEPTION 'the audit trail is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE OR REPLACE FUNCTION audit_wait_for_seal() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER AS $$
BEGIN
    INSERT INTO audit_unsealed (entry_id) VALUES (NEW.id);
    RETURN NULL;
END $$;

CREATE FUNCTION audit_waits_no_longer() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER AS $$
BEGIN
    DELETE FROM audit_unsealed u USING made WHERE u.entry_id = made.entry_id;
    RETURN NULL;
END $$;
CREATE TRIGGER audit_waits_no_longer AFTER INSERT ON audit_seals
    REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION audit_waits_no_longer();

-- Delete sealed audit entries, disclosures and erasures that are older than `before` and past
-- their record duty: at most so many rows of each; returns how many. The seals of entries stay.
CREATE FUNCTION delete_old_records(before timestamptz, most integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    deleted bigint;
BEGIN
    WITH entries AS (
        DELETE FROM audit_entries WHERE id IN (
            SELECT e.id FROM audit_entries e JOIN audit_seals s ON s.entry_id = e.id
            WHERE e.at < before AND past_record_duty(e.id, e.at) ORDER BY e.at LIMIT most)
        RETURNING 1
    ), seen AS (
        DELETE FROM disclosures WHERE id IN (
            SELECT d.id FROM disclosures d
            WHERE d.at < before AND past_record_duty(d.id, d.at) ORDER BY d.at LIMIT most)
        RETURNING 1
    ), erased AS (
        DELETE FROM erasures WHERE id IN (
            SELECT e.id FROM erasures e
            WHERE e.erased_at < before AND past_record_duty(e.id, e.erased_at)
            ORDER BY e.erased_at LIMIT most)
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM entries) + (SELECT count(*) FROM seen)
         + (SELECT count(*) FROM erased) INTO deleted;
    RETURN deleted;
END $$;
REVOKE EXECUTE ON FUNCTION delete_old_records FROM PUBLIC;

-- What they name is in this schema, and no temporary table of the service takes its place.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'audit_wait_for_seal()', 'audit_waits_no_longer()', 'delete_old_records(timestamptz, integer)'
    ] LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', name, current_schema());
    END LOOP;
END $$;
