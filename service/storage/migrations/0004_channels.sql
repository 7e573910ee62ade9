-- The ways out, as configured, and who holds their connections.

CREATE TABLE channels (
    id smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    kind text NOT NULL,
    simulated boolean NOT NULL,
    carriers text[] NOT NULL,
    config_cipher bytea NOT NULL,
    tps integer CHECK (tps > 0),
    window_size integer NOT NULL DEFAULT 16 CHECK (window_size BETWEEN 1 AND 10000),
    connections integer NOT NULL DEFAULT 1 CHECK (connections BETWEEN 1 AND 100),
    enabled boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL
);

-- Simulated or real is decided once, for good: a real channel must never be fed synthetic numbers
-- by a flipped flag, nor a simulated one real people.
CREATE FUNCTION channels_simulated_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.simulated IS DISTINCT FROM OLD.simulated THEN
        RAISE EXCEPTION 'a channel stays simulated or real for good' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER channels_simulated_is_final BEFORE UPDATE ON channels
    FOR EACH ROW EXECUTE FUNCTION channels_simulated_is_final();

-- One row a connection a channel may have. Whoever holds it (owner, epoch, not expired) may log in
-- and work on slices; a new holder raises the epoch, which fences the old one out.
CREATE TABLE connections (
    channel_id smallint NOT NULL REFERENCES channels ON DELETE CASCADE,
    slot smallint NOT NULL,
    epoch bigint NOT NULL DEFAULT 0,
    owner uuid,
    expires_at timestamptz,
    state text NOT NULL DEFAULT 'down' CHECK (state IN ('down', 'up')),
    note text NOT NULL DEFAULT '',
    changed_at timestamptz,
    PRIMARY KEY (channel_id, slot)
);
