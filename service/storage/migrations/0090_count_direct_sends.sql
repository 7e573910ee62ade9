-- The limit of direct sends is looked at in each of them: so it must neither add up every send of a
-- day, nor make a sender's other sends wait for the whole of one.

-- How many people a sender's direct sends named in each span of ten minutes; kept for two days. In
-- eight rows, so that two sends at once seldom wait for the same one.
CREATE TABLE direct_use (
    sender_id uuid NOT NULL,
    span timestamptz NOT NULL,          -- its beginning
    share smallint NOT NULL CHECK (share BETWEEN 0 AND 7),
    recipients bigint NOT NULL CHECK (recipients > 0),
    PRIMARY KEY (sender_id, span, share)
) WITH (fillfactor = 50);

CREATE FUNCTION direct_span(instant timestamptz) RETURNS timestamptz IMMUTABLE LANGUAGE sql
    RETURN date_bin('10 minutes', instant, '2000-01-01 00:00:00+00');

INSERT INTO direct_use
SELECT sender_id, direct_span(at), 0, sum(recipients) FROM direct_sends
WHERE at > (SELECT max(at) FROM direct_sends) - interval '2 days' GROUP BY 1, 2;

-- How many people a sender's direct sends have named since an instant. Exact: the span that the
-- instant lies in is counted by its sends.
CREATE FUNCTION direct_used(sender uuid, since timestamptz) RETURNS bigint STABLE LANGUAGE sql AS $$
    SELECT (SELECT coalesce(sum(recipients), 0) FROM direct_sends
            WHERE sender_id = sender AND at > since
              AND at < direct_span(since) + interval '10 minutes')
         + (SELECT coalesce(sum(recipients), 0) FROM direct_use
            WHERE sender_id = sender AND span >= direct_span(since) + interval '10 minutes')
$$;

-- The limit holds whoever writes, and is looked at for good in the commit. Far from it, small sends
-- take their places side by side: there are never more of them at work than connections, so that all
-- of them together do not come near it. Else each waits for those before it and counts them, for no
-- longer than a commit takes. Whoever is refused here begins again, and then sees what the others
-- have used.
CREATE FUNCTION hold_direct_limit() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    small CONSTANT integer := 10;
    held CONSTANT bigint := hashtextextended('direct ' || NEW.sender_id::text, 0);
    since CONSTANT timestamptz := NEW.at - interval '24 hours';
    most CONSTANT integer := (
        SELECT d.direct_send_limit FROM runs r JOIN departments d ON d.id = r.department_id
        WHERE r.id = NEW.run_id);
    far CONSTANT integer := most - small * current_setting('max_connections')::integer;
    beside CONSTANT boolean := NEW.recipients <= small AND direct_used(NEW.sender_id, since) <= far;
    place CONSTANT smallint := pg_backend_pid() % 8;
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
    INSERT INTO direct_use VALUES (NEW.sender_id, direct_span(NEW.at), place, NEW.recipients)
    ON CONFLICT (sender_id, span, share)
        DO UPDATE SET recipients = direct_use.recipients + excluded.recipients;
    IF random() < 0.001 THEN
        DELETE FROM direct_use WHERE sender_id = NEW.sender_id AND span < NEW.at - interval '2 days';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER hold_direct_limit AFTER INSERT ON direct_sends
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION hold_direct_limit();
