-- The audit trail: who did what to which thing. Append-only, and chained by hashes.

-- Inserted in the transaction of the effect. Ids, hashes and counts, never personal data.
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
    CHECK (object_kind IS NOT NULL OR object_id IS NULL)
);
CREATE INDEX audit_entries_at ON audit_entries (at);
CREATE INDEX audit_entries_actor ON audit_entries (actor_id, id);
CREATE INDEX audit_entries_object ON audit_entries (object_id, id);
CREATE INDEX audit_entries_department ON audit_entries (department_id, id);

-- One seal an entry, in the order in which they were found committed. Each seal hashes the one
-- before it, so none can be changed, taken out or put in without breaking all that follow.
CREATE TABLE audit_seals (
    no bigint PRIMARY KEY CHECK (no > 0),
    entry_id uuid NOT NULL UNIQUE,
    at timestamptz NOT NULL,            -- the entry's
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    seal bytea NOT NULL CHECK (octet_length(seal) = 32)
);

-- Entries that wait for their seal: ids come out of order with commits, so no cursor would do.
CREATE TABLE audit_unsealed (
    entry_id uuid PRIMARY KEY
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

CREATE FUNCTION audit_wait_for_seal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_unsealed (entry_id) VALUES (NEW.id);
    RETURN NULL;
END $$;
CREATE TRIGGER audit_wait_for_seal AFTER INSERT ON audit_entries
    FOR EACH ROW EXECUTE FUNCTION audit_wait_for_seal();

-- Nothing of it is changed or taken out, whoever asks; but for entries that the record duty of three
-- years is over for, counted from the newest entry. Their seals stay, so that the chain still holds.
CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_TABLE_NAME = 'audit_entries' AND TG_OP = 'DELETE' THEN
        IF OLD.at < (SELECT max(at) FROM audit_entries) - interval '1095 days' THEN
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
