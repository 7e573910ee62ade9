-- What departments are told: events, the webhooks that want them, and each delivery of one to the
-- other.

-- An address of a department that is called when something happens. The secret signs each call. One
-- that has `run_calls_back` is told of the runs that named it (callback_url) and of nothing else.
CREATE TABLE webhooks (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    department_id uuid NOT NULL REFERENCES departments,
    url text NOT NULL,
    events text[] NOT NULL CHECK (events <> '{}' AND events <@ ARRAY[
        'message.final', 'run.finished', 'inbound.received', 'import.finished', 'quota.warning',
        'webhook.disabled', 'webhook.test', 'stop_all.stopped', 'stop_all.lifted',
        'campaign.held', 'campaign.released', 'campaign.paused', 'campaign.resumed',
        'campaign.returned', 'campaign.reopened', 'campaign.not_firing', 'fire.held',
        'fire.released', 'fire.missed', 'fire.skipped', 'fire.late', 'channel.shut',
        'channel.recovered']),
    run_calls_back boolean NOT NULL DEFAULT false,
    secret_cipher bytea NOT NULL,
    created_by uuid NOT NULL REFERENCES users,
    created_at timestamptz NOT NULL,
    failing_since timestamptz,           -- no call has succeeded since
    failures integer NOT NULL DEFAULT 0, -- calls in a row
    rest_until timestamptz,              -- after a failure, so that a dead receiver costs little
    disabled_at timestamptz,
    disabled_why text,
    deleted_at timestamptz,
    CHECK ((disabled_at IS NULL) = (disabled_why IS NULL))
);
CREATE UNIQUE INDEX webhooks_callback ON webhooks (department_id, url)
    WHERE run_calls_back AND deleted_at IS NULL;
CREATE INDEX webhooks_department ON webhooks (department_id) WHERE deleted_at IS NULL;
-- A department's own webhooks, beside any number of callback_urls, are asked for at each event.
CREATE INDEX webhooks_own ON webhooks (department_id) WHERE NOT run_calls_back AND deleted_at IS NULL;

ALTER TABLE runs ADD CONSTRAINT runs_webhook_id_fkey FOREIGN KEY (webhook_id) REFERENCES webhooks;

-- An event is written in the transaction of what happened, by the triggers below: whoever ends
-- something cannot forget it. `id` rises with time for one subject, so it also says which of two is
-- newer.
CREATE TABLE webhook_events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    department_id uuid NOT NULL,
    type text NOT NULL,
    run_id uuid,
    data jsonb NOT NULL,
    at timestamptz NOT NULL
);

-- The events that were not given to their webhooks yet; emptied by whoever does that.
CREATE TABLE webhook_news (event_id bigint PRIMARY KEY REFERENCES webhook_events ON DELETE CASCADE);

CREATE TABLE webhook_deliveries (
    webhook_id uuid NOT NULL REFERENCES webhooks,
    event_id bigint NOT NULL REFERENCES webhook_events ON DELETE CASCADE,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'given_up')),
    attempt smallint NOT NULL DEFAULT 0,
    next_at timestamptz NOT NULL,
    first_at timestamptz,                -- of the first call; it is given up a day later
    status smallint,                     -- what the last call was answered
    error text,
    ended_at timestamptz,
    PRIMARY KEY (webhook_id, event_id)
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (webhook_id, next_at)
    WHERE state = 'waiting';
CREATE INDEX webhook_deliveries_event ON webhook_deliveries (event_id);

-- --------------------------------------------------------------------------------- what is told of

CREATE FUNCTION is_told(department uuid, event text) RETURNS boolean STABLE LANGUAGE sql AS $$
    SELECT EXISTS (
        SELECT FROM webhooks WHERE department_id = department AND event = ANY (events)
          AND NOT run_calls_back AND disabled_at IS NULL AND deleted_at IS NULL)
$$;

CREATE FUNCTION write_event(department uuid, event text, run uuid, about jsonb, instant timestamptz)
RETURNS void LANGUAGE sql AS $$
    WITH written AS (
        INSERT INTO webhook_events (department_id, type, run_id, data, at)
        VALUES (department, event, run, about, instant) RETURNING id)
    INSERT INTO webhook_news SELECT id FROM written
$$;

CREATE FUNCTION tell_of_message() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM write_event(
        r.department_id, 'message.final', NEW.run_id,
        jsonb_build_object(
            'message_id', NEW.run_id || '.' || NEW.no, 'run_id', NEW.run_id, 'state', NEW.state,
            'reason', NEW.reason, 'code', NEW.code, 'attempt', NEW.attempt,
            'part_count', NEW.part_count, 'final_at', NEW.final_at),
        coalesce(NEW.final_at, now()))
    FROM runs r WHERE r.id = NEW.run_id;
    RETURN NULL;
END $$;
CREATE TRIGGER tell AFTER UPDATE OF state ON messages FOR EACH ROW
    WHEN (NEW.told AND NEW.state IS DISTINCT FROM OLD.state
          AND NEW.state NOT IN ('queued', 'submitting', 'submitted', 'uncertain'))
    EXECUTE FUNCTION tell_of_message();

CREATE FUNCTION tell_of_run() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.webhook_id IS NOT NULL OR is_told(NEW.department_id, 'run.finished') THEN
        PERFORM write_event(
            NEW.department_id, 'run.finished', NEW.id,
            jsonb_build_object(
                'run_id', NEW.id, 'campaign_id', NEW.campaign_id, 'kind', NEW.kind,
                'state', NEW.state, 'target', NEW.target, 'settled_at', NEW.settled_at),
            NEW.settled_at);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER tell AFTER UPDATE OF settled_at ON runs FOR EACH ROW
    WHEN (NEW.settled_at IS NOT NULL AND OLD.settled_at IS NULL AND NEW.kind <> 'reply')
    EXECUTE FUNCTION tell_of_run();

CREATE FUNCTION tell_of_import() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF is_told(NEW.department_id, 'import.finished') THEN
        PERFORM write_event(
            NEW.department_id, 'import.finished', NULL,
            jsonb_build_object('import_id', NEW.id, 'roster', NEW.roster, 'state', NEW.state),
            coalesce(NEW.finished_at, now()));
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER tell AFTER UPDATE OF state ON imports FOR EACH ROW
    WHEN (NEW.state IS DISTINCT FROM OLD.state AND NEW.state IN ('done', 'failed'))
    EXECUTE FUNCTION tell_of_import();

CREATE FUNCTION tell_of_inbound() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF is_told(NEW.department_id, 'inbound.received') THEN
        PERFORM write_event(
            NEW.department_id, 'inbound.received', NEW.run_id,
            jsonb_build_object(
                'inbound_id', NEW.id, 'kind', NEW.kind, 'answer', NEW.answer, 'run_id', NEW.run_id,
                'message_id', NEW.run_id || '.' || NEW.message_no, 'campaign_id', NEW.campaign_id),
            NEW.received_at);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER tell AFTER INSERT ON inbound_texts FOR EACH ROW
    WHEN (NEW.department_id IS NOT NULL) EXECUTE FUNCTION tell_of_inbound();

-- A department is told when the use of one of its quotas reaches four fifths.
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

-- A channel concerns the departments that may use it.
CREATE FUNCTION tell_of_interruption() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM write_event(
        d.id, NEW.kind, NULL,
        jsonb_strip_nulls(jsonb_build_object(
            'code', NEW.code, 'by', CASE WHEN NEW.by_person THEN 'person' ELSE 'clock' END,
            'campaign_id', NEW.campaign_id, 'planned_at', NEW.planned_at,
            'others', NEW.others, 'people', NEW.people,
            'channel_id', NEW.channel_id, 'stop_id', NEW.stop_id)),
        NEW.at)
    FROM departments d
    WHERE (NEW.department_id IS NULL OR d.id = NEW.department_id)
      AND (NEW.channel_id IS NULL OR d.channels IS NULL OR NEW.channel_id = ANY (d.channels))
      AND is_told(d.id, NEW.kind);
    RETURN NULL;
END $$;
CREATE TRIGGER tell AFTER INSERT ON interruptions FOR EACH ROW
    EXECUTE FUNCTION tell_of_interruption();
