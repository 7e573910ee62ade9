-- What proves what was done: the audit trail, disclosures, erasures, and what is not kept any more.
--
-- The service's role only adds to these tables (service/storage/roles.py). What it may not do
-- itself is done by the SECURITY DEFINER functions below, which run as the owner of the tables.

-- Who did what to which thing: inserted in the transaction of the effect, append-only, and chained
-- by hashes. Ids, hashes and counts, never personal data.
CREATE TABLE audit_entries (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    at timestamptz NOT NULL,
    via text NOT NULL CHECK (via IN ('api', 'cli', 'system')),
    actor_id uuid,                      -- NULL: whoever holds the command line, or the system itself
    department_id uuid,                 -- the actor's
    action text NOT NULL CHECK (action <> ''),
    object_kind text,
    object_id text,
    request_id text,                    -- as in the access log
    request_hash bytea,                 -- keyed: of what was asked
    details jsonb NOT NULL DEFAULT '{}',
    -- The MAC of whoever wrote the entry, made with a key that comes from the master key and that
    -- the database does not have.
    mac bytea,
    CHECK (object_kind IS NOT NULL OR object_id IS NULL),
    CONSTRAINT audit_entries_mac CHECK (mac IS NOT NULL AND octet_length(mac) = 24),
    -- One entry that the sealer cannot read would stop all sealing: an instant or a number that
    -- Python does not have, details that are no object, or nested beyond its stack.
    CONSTRAINT audit_entries_readable CHECK (
        at >= '1970-01-01T00:00:00Z' AND at < '3000-01-01T00:00:00Z'
        AND jsonb_typeof(details) = 'object'
        AND NOT details @? '$.**{20 to last}'
        AND NOT details @? '$.** ? (@.type() == "number" && (@ > 1e400 || @ < -1e400))')
);
CREATE INDEX audit_entries_at ON audit_entries (at);
CREATE INDEX audit_entries_actor ON audit_entries (actor_id, id);
CREATE INDEX audit_entries_object ON audit_entries (object_id, id);
CREATE INDEX audit_entries_department ON audit_entries (department_id, id);
-- What was done from the command line, which is rare: every administrator sees that of the last
-- month.
CREATE INDEX audit_entries_machine ON audit_entries (at) WHERE via = 'cli';

-- One seal an entry, in the order in which they were found committed. Each seal hashes the one
-- before it, so none can be changed, taken out or put in without breaking all that follow.
CREATE TABLE audit_seals (
    no bigint PRIMARY KEY CHECK (no > 0),
    entry_id uuid NOT NULL UNIQUE,
    at timestamptz NOT NULL,            -- the entry's
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    seal bytea NOT NULL CHECK (octet_length(seal) = 32)
);

-- Entries that wait for their seal: ids come out of order with commits, so a cursor would miss
-- some.
CREATE TABLE audit_unsealed (
    entry_id uuid PRIMARY KEY
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

CREATE FUNCTION audit_wait_for_seal() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER AS $$
BEGIN
    INSERT INTO audit_unsealed (entry_id) VALUES (NEW.id);
    RETURN NULL;
END $$;
CREATE TRIGGER audit_wait_for_seal AFTER INSERT ON audit_entries
    FOR EACH ROW EXECUTE FUNCTION audit_wait_for_seal();

CREATE FUNCTION audit_waits_no_longer() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER AS $$
BEGIN
    DELETE FROM audit_unsealed u USING made WHERE u.entry_id = made.entry_id;
    RETURN NULL;
END $$;
CREATE TRIGGER audit_waits_no_longer AFTER INSERT ON audit_seals
    REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION audit_waits_no_longer();

-- When the database made an entry or a disclosure: its id says so, whatever the entry itself says.
-- A record is past its duty (three years) only if both instants are, by the database's clock.
CREATE FUNCTION past_record_duty(id uuid, at timestamptz) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT greatest(at, coalesce(uuid_extract_timestamp(id), at)) < now() - interval '1096 days'
$$;

-- Nothing of the trail is changed or taken out, whoever asks, except entries past their record
-- duty. Their seals stay, so that the chain still holds.
CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_TABLE_NAME = 'audit_entries' AND TG_OP = 'DELETE' THEN
        IF past_record_duty(OLD.id, OLD.at) THEN
            RETURN OLD;
        END IF;
    END IF;
    RAISE EXCEPTION 'the audit trail is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE ON audit_entries
    FOR EACH ROW EXECUTE FUNCTION audit_is_append_only();
CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE ON audit_seals
    FOR EACH ROW EXECUTE FUNCTION audit_is_append_only();
CREATE TRIGGER audit_is_not_emptied BEFORE TRUNCATE ON audit_entries
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();
CREATE TRIGGER audit_is_not_emptied BEFORE TRUNCATE ON audit_seals
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();

-- ----------------------------------------------------------------------------------------- privacy

-- Who saw whose data in full, or looked a person up, and why. The audit trail has the ids of these.
CREATE TABLE disclosures (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    kind text NOT NULL CHECK (kind IN ('contact', 'message', 'inbound', 'lookup', 'receipt')),
    object_id text,
    phone_hash bytea CHECK (octet_length(phone_hash) = 16), -- NULL: octets of no known number
    department_id uuid NOT NULL,        -- that of whoever asked
    user_id uuid NOT NULL,
    reason_cipher bytea NOT NULL,
    at timestamptz NOT NULL,
    -- Whose data it was; NULL: everybody's, looked up over all departments. It is that department,
    -- and not the one of whoever looked, that is told of it.
    holder_id uuid,
    CHECK ((kind = 'lookup') = (object_id IS NULL)),
    CONSTRAINT disclosures_phone_check CHECK ((kind = 'receipt') = (phone_hash IS NULL))
);
CREATE INDEX disclosures_phone ON disclosures (phone_hash);
CREATE INDEX disclosures_at ON disclosures (at);
-- How many numbers a person has looked up in the last hour.
CREATE INDEX disclosures_lookups ON disclosures (user_id, at) WHERE kind = 'lookup';

-- Persons who were erased, as keyed hashes; department_id NULL: in all departments. A run that is
-- older than an erasure sends nothing to that number any more, and its texts are locked from being
-- unmasked; a file that is older does not bring the person back. What comes later is a new person.
CREATE TABLE erasures (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    phone_hash bytea NOT NULL CHECK (octet_length(phone_hash) = 16),
    department_id uuid,
    erased_by uuid NOT NULL,
    erased_at timestamptz NOT NULL,
    reason_cipher bytea NOT NULL,
    counts jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX erasures_phone ON erasures (phone_hash);
CREATE INDEX erasures_at ON erasures (erased_at);

-- The one way in which old records go: delete sealed audit entries, disclosures and erasures that
-- are older than `before` and past their record duty, at most so many rows of each; returns how
-- many.
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

-- --------------------------------------------------------------------------------------- retention

-- What is not kept any more: the count of each day by kind, for the report.
CREATE TABLE retired (
    day date NOT NULL,
    kind text NOT NULL,
    items bigint NOT NULL,
    PRIMARY KEY (day, kind)
);

-- Whether the clock may be trusted with deleting what is past its term; one row.
CREATE TABLE retention_watch (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    beat_at timestamptz,                -- when the service last knew that it was alive
    jumped_from timestamptz,            -- the last beat before the clock jumped ahead; NULL: it has not
    jumped_at timestamptz,              -- the first beat after it
    held_for text CHECK (held_for IN ('clocks_differ', 'clock_jumped', 'needs_agreement')),
    held_since timestamptz,             -- by PostgreSQL's clock
    due jsonb NOT NULL DEFAULT '{}',    -- by kind, what would go and of how much, once that is asked
    agreed_by uuid REFERENCES users,
    agreed_at timestamptz,
    CHECK ((jumped_from IS NULL) = (jumped_at IS NULL)),
    CHECK ((held_for IS NULL) = (held_since IS NULL)),
    CHECK ((agreed_by IS NULL) = (agreed_at IS NULL))
);
INSERT INTO retention_watch DEFAULT VALUES;
