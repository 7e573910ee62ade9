-- What decides when and over which channel a text leaves: carriers of ported numbers, shares and
-- quotas of channels, frequency caps, limits of direct sends, circuit breakers.

-- What is known of one number takes precedence over the prefix table, for all departments: numbers
-- are ported between carriers. `learned` is what a delivery proved, on the channel that delivered.
CREATE TABLE carrier_overrides (
    phone_hash bytea PRIMARY KEY CHECK (octet_length(phone_hash) = 16),
    carrier text NOT NULL CHECK (
        carrier IN ('china_mobile', 'china_unicom', 'china_telecom', 'china_broadnet')),
    source text NOT NULL CHECK (source IN ('operator', 'import', 'learned')),
    channel_id smallint REFERENCES channels,
    set_by uuid REFERENCES users,
    set_at timestamptz NOT NULL,
    CHECK ((source = 'learned') = (channel_id IS NOT NULL)),
    CHECK ((source = 'learned') = (set_by IS NULL))
);

-- ------------------------------------------------------------------------------- shares and quotas

-- How much a department has had of a channel in one priority: parts divided by weight. `started` is
-- what it was before the last turn: the highest of a priority is the present, at which a department
-- that comes anew begins. The parts of the minute and of the one before tell the rate.
CREATE TABLE shares (
    channel_id smallint NOT NULL REFERENCES channels ON DELETE CASCADE,
    priority smallint NOT NULL,
    department_id uuid NOT NULL REFERENCES departments ON DELETE CASCADE,
    virtual_time double precision NOT NULL,
    started double precision NOT NULL,
    busy_since timestamptz NOT NULL,
    minute timestamptz NOT NULL,
    parts integer NOT NULL,
    parts_before integer NOT NULL DEFAULT 0,
    PRIMARY KEY (channel_id, priority, department_id)
) WITH (fillfactor = 50);

-- Parts marked as leaving on a channel that has a quota, by day and by month.
CREATE TABLE quota_use (
    channel_id smallint NOT NULL REFERENCES channels ON DELETE CASCADE,
    span text NOT NULL CHECK (span IN ('day', 'month')),
    since date NOT NULL,
    parts bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (channel_id, span, since)
) WITH (fillfactor = 50);

-- ---------------------------------------------------------------------------------- frequency caps

-- How many texts of a class a person may get from all departments together. Append-only: the last
-- row of a class counts, the rows before it are the record. NULL: no such cap. A warning has none.
-- At most 16, for so many hand-offs are remembered.
CREATE TABLE frequency_caps (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    class text NOT NULL CHECK (class IN ('public_interest', 'service')),
    per_day smallint CHECK (per_day BETWEEN 1 AND 16),
    per_week smallint CHECK (per_week BETWEEN 1 AND 16),
    per_month smallint CHECK (per_month BETWEEN 1 AND 16),
    same_text boolean NOT NULL, -- whether the same text may come again within 30 days
    reason text NOT NULL CHECK (reason <> ''),
    set_by uuid REFERENCES users, -- NULL: as delivered
    set_at timestamptz NOT NULL,
    CHECK (per_day <= per_week),
    CHECK (per_week <= per_month),
    CHECK (per_day <= per_month)
);
CREATE INDEX frequency_caps_class ON frequency_caps (class, id);

INSERT INTO frequency_caps (class, per_day, per_week, per_month, same_text, reason, set_at) VALUES
    ('public_interest', 1, 2, 6, false, 'as delivered', now()),
    ('service', 5, NULL, NULL, true, 'as delivered', now());

-- One row a person and class: the latest hand-offs, whoever's they were, from new to old. It is
-- written by each mark, so there is no index on what changes, and each page has room for a next
-- version of all its rows: a ledger goes through people in the order of their hash, so one mark
-- changes whole pages.
CREATE TABLE recent_texts (
    phone_hash bytea NOT NULL CHECK (octet_length(phone_hash) = 16),
    class text NOT NULL,
    at timestamptz[] NOT NULL,
    runs uuid[] NOT NULL,
    texts bigint[] NOT NULL,
    PRIMARY KEY (phone_hash, class)
) WITH (fillfactor = 45);

-- ------------------------------------------------------------------------ limits of direct sending

-- How many people a sender's direct runs named, for the limit of 24 hours. The sender is a key, or
-- a user without one.
CREATE TABLE direct_sends (
    run_id uuid PRIMARY KEY REFERENCES runs,
    sender_id uuid NOT NULL,
    recipients integer NOT NULL CHECK (recipients > 0),
    at timestamptz NOT NULL
);
CREATE INDEX direct_sends_sender ON direct_sends (sender_id, at);

-- The limit is looked at in each direct send: so it must neither add up every send of a day, nor
-- make a sender's other sends wait for the whole of one. Hence the same count in spans of ten
-- minutes, kept for two days. share: a row for each connection that counted in a span, by the
-- number of its server process, which no other one has at that time, so that two sends at once
-- never wait for the same row; 0: those of a span that is over, put together.
CREATE TABLE direct_use (
    sender_id uuid NOT NULL,
    span timestamptz NOT NULL,          -- its beginning
    share integer NOT NULL CHECK (share >= 0),
    recipients bigint NOT NULL CHECK (recipients > 0),
    PRIMARY KEY (sender_id, span, share)
) WITH (fillfactor = 50);

CREATE FUNCTION direct_span(instant timestamptz) RETURNS timestamptz IMMUTABLE LANGUAGE sql
    RETURN date_bin('10 minutes', instant, '2000-01-01 00:00:00+00');

-- How many people a sender's direct sends have named since an instant. Exact: the span that the
-- instant lies in is counted by its sends.
CREATE FUNCTION direct_used(sender uuid, since timestamptz) RETURNS bigint STABLE LANGUAGE sql AS $$
    SELECT (SELECT coalesce(sum(recipients), 0) FROM direct_sends
            WHERE sender_id = sender AND at > since
              AND at < direct_span(since) + interval '10 minutes')
         + (SELECT coalesce(sum(recipients), 0) FROM direct_use
            WHERE sender_id = sender AND span >= direct_span(since) + interval '10 minutes')
$$;

-- Put together what a sender's connections counted in spans that are over, so that a look at a day
-- reads one row for each of them; the sum stays. Forgets what no limit asks for any more.
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

-- The limit holds whoever writes, and is checked in the commit. Far from it, small sends take their
-- places side by side: there are never more of them at work than connections, so that all of them
-- together do not come near it. Else each waits for those before it and counts them, for no longer
-- than a commit takes. Whoever is refused here begins again, and then sees what the others have
-- used.
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
CREATE CONSTRAINT TRIGGER hold_direct_limit AFTER INSERT ON direct_sends
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION hold_direct_limit();

-- ---------------------------------------------------------------- channel health, circuit breakers

-- What one process saw of a channel since its last report; every few seconds, if there was
-- anything. Counts are of submits, but for receipts and delivered, which are of receipts. `times`
-- counts the answers by the bounds of service/dispatch/failover/health.py. Deleted after an hour.
CREATE TABLE channel_health (
    owner uuid NOT NULL,
    channel_id smallint NOT NULL REFERENCES channels ON DELETE CASCADE,
    at timestamptz NOT NULL,
    submits integer NOT NULL,
    accepted integer NOT NULL,
    refused integer NOT NULL,      -- for the number's sake or the text's
    failed integer NOT NULL,       -- refused for the channel's sake
    unanswered integer NOT NULL,
    unsent integer NOT NULL,       -- provably never written
    throttled integer NOT NULL,
    receipts integer NOT NULL,
    delivered integer NOT NULL,
    times integer[] NOT NULL,
    in_a_row integer NOT NULL      -- refused for the channel's sake since one was last accepted
);
CREATE INDEX channel_health_channel ON channel_health (channel_id, at);

-- One row a channel, written by the schedulers; while `state` is open nothing is handed off on it.
CREATE TABLE circuit_breakers (
    channel_id smallint PRIMARY KEY REFERENCES channels ON DELETE CASCADE,
    state text NOT NULL DEFAULT 'closed' CHECK (state IN ('closed', 'open', 'half_open')),
    cause text NOT NULL DEFAULT '' CHECK (cause IN ('', 'faults', 'slow', 'silent', 'down')),
    why text NOT NULL DEFAULT '',
    changed_at timestamptz NOT NULL,
    trips smallint NOT NULL DEFAULT 0,
    climbing boolean NOT NULL DEFAULT false, -- closed again, and not yet back at its full pace
    looked_at timestamptz NOT NULL,
    connected_at timestamptz NOT NULL,        -- last seen with a connection, or with nobody trying
    receipt_at timestamptz,
    off_since timestamptz,                    -- seen switched off
    shift_at timestamptz,                     -- when to look again for what another channel may take
    CHECK ((state = 'closed') = (cause = ''))
);

-- The record: what changed and why, in plain words and figures. One row of kind shifted or waiting
-- a run, target and opening; `messages` grows as the slices move.
CREATE TABLE circuit_breaker_events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    channel_id smallint NOT NULL REFERENCES channels ON DELETE CASCADE,
    kind text NOT NULL CHECK (
        kind IN ('opened', 'probing', 'closed', 'returned', 'shifted', 'waiting')),
    at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    why text NOT NULL CHECK (why <> ''),
    figures jsonb NOT NULL DEFAULT '{}',
    run_id uuid REFERENCES runs,
    to_channel_id smallint REFERENCES channels ON DELETE CASCADE,
    messages integer NOT NULL DEFAULT 0,
    CHECK ((kind = 'shifted') = (to_channel_id IS NOT NULL)),
    CHECK ((kind IN ('shifted', 'waiting')) = (run_id IS NOT NULL))
);
CREATE INDEX circuit_breaker_events_channel ON circuit_breaker_events (channel_id, id);

CREATE FUNCTION note_channel() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO interruptions (kind, code, channel_id, at)
    SELECT CASE NEW.kind WHEN 'opened' THEN 'channel.shut' ELSE 'channel.recovered' END,
           CASE NEW.kind WHEN 'opened' THEN b.cause ELSE '' END, NEW.channel_id, NEW.at
    FROM circuit_breakers b WHERE b.channel_id = NEW.channel_id;
    RETURN NULL;
END $$;
CREATE TRIGGER note AFTER INSERT ON circuit_breaker_events FOR EACH ROW
    WHEN (NEW.kind IN ('opened', 'closed')) EXECUTE FUNCTION note_channel();

-- -------------------------------------------------------------------------------------- schedulers

-- The last turn of each regular act that came to its end, by the database's own clock: it measures
-- the life of a process, as leases do.
CREATE TABLE turns (
    act text PRIMARY KEY,
    ended_at timestamptz NOT NULL,
    seconds real NOT NULL
) WITH (fillfactor = 50);
