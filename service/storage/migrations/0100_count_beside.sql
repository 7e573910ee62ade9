-- Two direct sends at once never wait for the same count, and a look at a day reads few of them.

-- A row for each connection that counted in a span, by the number of its server process, which no
-- other one has at that time; 0: those of a span that is over, put together.
ALTER TABLE direct_use
    DROP CONSTRAINT direct_use_share_check,
    ALTER COLUMN share TYPE integer,
    ADD CONSTRAINT direct_use_share_check CHECK (share >= 0);

-- Put together what a sender's connections counted in spans that are over, so that a look at a day
-- reads a row for each of them; the sum stays. Forgets what no limit asks for any more.
CREATE FUNCTION fold_direct_use(sender uuid, instant timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    WITH parts AS (
        DELETE FROM direct_use
        WHERE sender_id = sender AND share <> 0
          AND span < direct_span(instant) - interval '10 minutes'
        RETURNING span, recipients
    )
    INSERT INTO direct_use SELECT sender, span, 0, sum(recipients) FROM parts GROUP BY span
    ON CONFLICT (sender_id, span, share)
        DO UPDATE SET recipients = direct_use.recipients + excluded.recipients;
    DELETE FROM direct_use WHERE sender_id = sender AND span < instant - interval '2 days';
END $$;

-- As before (0090), but for the row that it counts in.
CREATE OR REPLACE FUNCTION hold_direct_limit() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    small CONSTANT integer := 10;
    held CONSTANT bigint := hashtextextended('direct ' || NEW.sender_id::text, 0);
    since CONSTANT timestamptz := NEW.at - interval '24 hours';
    most CONSTANT integer := (
        SELECT d.direct_send_limit FROM runs r JOIN departments d ON d.id = r.department_id
        WHERE r.id = NEW.run_id);
    far CONSTANT integer := most - small * current_setting('max_connections')::integer;
    beside CONSTANT boolean := NEW.recipients <= small AND direct_used(NEW.sender_id, since) <= far;
BEGIN
    IF beside THEN
        PERFORM pg_advisory_xact_lock_shared(held);
    ELSE
        PERFORM pg_advisory_xact_lock(held);
    END IF;
    IF direct_used(NEW.sender_id, since)
        > (CASE WHEN beside THEN far ELSE most - NEW.recipients END)
    THEN
        RAISE EXCEPTION 'direct sends at once name more people than the department allows'
            USING ERRCODE = 'serialization_failure';
    END IF;
    INSERT INTO direct_use
    VALUES (NEW.sender_id, direct_span(NEW.at), pg_backend_pid(), NEW.recipients)
    ON CONFLICT (sender_id, span, share)
        DO UPDATE SET recipients = direct_use.recipients + excluded.recipients;
    IF random() < 0.01 THEN
        PERFORM fold_direct_use(NEW.sender_id, NEW.at);
    END IF;
    RETURN NULL;
END $$;
