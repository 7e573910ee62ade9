-- The connections to carriers as configured, who holds them, and why they were lost.

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
    created_at timestamptz NOT NULL,
    -- What a contract with a carrier settles beyond address, account and pace.
    destinations smallint NOT NULL DEFAULT 1 CHECK (destinations BETWEEN 1 AND 100),
    on_net_only boolean NOT NULL DEFAULT true,
    rank smallint NOT NULL DEFAULT 100,
    signature text NOT NULL DEFAULT 'ours_head' CHECK (
        signature IN ('ours_head', 'ours_tail', 'carrier_head', 'carrier_tail')),
    signature_counts boolean NOT NULL DEFAULT true,
    receipts text NOT NULL DEFAULT 'all' CHECK (receipts IN ('all', 'last')),
    send_validity boolean NOT NULL DEFAULT true,
    -- Nothing is handed off until then: the carrier said that the account may not send for now, or
    -- the channel's own quota is used up (held_by).
    held_until timestamptz,
    held_why text NOT NULL DEFAULT '',
    -- Parts a day and a month by the calendar in Beijing; NULL: no quota.
    daily_quota integer CHECK (daily_quota > 0),
    monthly_quota integer CHECK (monthly_quota > 0),
    -- [["23:00", "01:00"], …], each day, in Beijing; nothing is handed off inside.
    maintenance jsonb NOT NULL DEFAULT '[]',
    held_by text NOT NULL DEFAULT 'carrier',
    -- Whether texts must be filed with the carrier; NULL: if the channel is a real one.
    requires_filing boolean,
    -- Whose gateway it leads to, so that this carrier's subscriber base may go over it. NULL: of
    -- the one carrier that `carriers` names, unless the kind is a provider's interface; where there
    -- are several, of none. (ANY of an empty array is false, not NULL.)
    operated_by text CHECK (operated_by IS NULL OR operated_by = ANY (carriers)),
    -- A new real channel waits, switched off, until a second person has confirmed where it leads.
    waits_since timestamptz,
    CONSTRAINT channels_waiting_is_off CHECK (
        waits_since IS NULL OR NOT enabled AND NOT simulated)
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

-- Settings of a real channel that say where its credentials and numbers go, or who may report to
-- it: one administrator proposes them, another confirms. What waits is encrypted as the settings of
-- channels are; `names` are those of the settings.
CREATE TABLE channel_changes (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    channel_id smallint NOT NULL REFERENCES channels ON DELETE CASCADE,
    change_cipher bytea NOT NULL,
    names text[] NOT NULL,
    reason text NOT NULL,
    proposed_by uuid REFERENCES users, -- NULL: whoever runs the machine
    proposed_at timestamptz NOT NULL,
    confirmed_by uuid REFERENCES users,
    confirmed_at timestamptz,
    -- Another proposal took its place before it was confirmed.
    replaced_at timestamptz,
    -- It is of a new channel, which carries nothing before.
    creates boolean NOT NULL DEFAULT false,
    CONSTRAINT channel_changes_two_persons CHECK (confirmed_by <> proposed_by),
    CONSTRAINT channel_changes_proposer CHECK (proposed_by IS NOT NULL OR creates),
    CHECK ((confirmed_by IS NULL) = (confirmed_at IS NULL)),
    CHECK (confirmed_at IS NULL OR replaced_at IS NULL)
);
CREATE INDEX channel_changes_channel ON channel_changes (channel_id, id);
CREATE UNIQUE INDEX channel_changes_one_waits ON channel_changes (channel_id)
    WHERE confirmed_at IS NULL AND replaced_at IS NULL;

CREATE FUNCTION channel_changes_another_person() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM need_another_person('channel_changes_another_person',
        ARRAY[NEW.confirmed_by], ARRAY[NEW.proposed_by], NEW.confirmed_at);
    RETURN NULL;
END $$;
CREATE TRIGGER channel_changes_another_person AFTER INSERT OR UPDATE OF confirmed_by
    ON channel_changes FOR EACH ROW EXECUTE FUNCTION channel_changes_another_person();

CREATE FUNCTION channels_begin_by_two() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.simulated OR NEW.waits_since IS NOT NULL THEN
            RETURN NEW;
        END IF;
    ELSIF OLD.waits_since IS NULL OR NEW.waits_since IS NOT NULL OR EXISTS (
        SELECT FROM channel_changes c
        WHERE c.channel_id = NEW.id AND c.creates AND c.confirmed_at IS NOT NULL) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a new real channel waits until a second person has confirmed it'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'channels_begin_by_two';
END $$;
CREATE TRIGGER channels_begin_by_two BEFORE INSERT OR UPDATE OF waits_since ON channels
    FOR EACH ROW EXECUTE FUNCTION channels_begin_by_two();

-- Codes that the tables of a gateway do not know, or know otherwise; the operator's word counts.
CREATE TABLE channel_codes (
    kind text NOT NULL,
    applies_to text NOT NULL CHECK (applies_to IN ('submit', 'receipt')),
    code text NOT NULL,
    outcome text NOT NULL,
    reason text NOT NULL DEFAULT '',
    note text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL,
    PRIMARY KEY (kind, applies_to, code)
);

-- Carriers take a text only once it has been filed with them. Each row says how one version stands
-- with one channel; the last one holds, and nothing is changed.
CREATE TABLE filings (
    no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    version_id uuid NOT NULL REFERENCES template_versions,
    channel_id smallint NOT NULL REFERENCES channels ON DELETE CASCADE,
    state text NOT NULL CHECK (state IN ('submitted', 'filed', 'refused', 'withdrawn')),
    -- The carrier's number of it.
    reference text NOT NULL,
    -- The numbers and links that the filing names; a text may have no others there.
    contacts text[] NOT NULL,
    links text[] NOT NULL,
    note text NOT NULL,
    changed_by uuid REFERENCES users,
    changed_at timestamptz NOT NULL
);
CREATE INDEX filings_version ON filings (version_id, channel_id, no DESC);

-- ------------------------------------------------------------------------------------- connections

-- One row a connection a channel may have. Whoever holds it (owner, epoch, not expired) may log in
-- and work on slices; a new holder raises the epoch, which fences the old one out. lost_*: the last
-- loss, whoever held it; `losses` since `losing_since`, with no hour without any in between.
CREATE TABLE connections (
    channel_id smallint NOT NULL REFERENCES channels ON DELETE CASCADE,
    slot smallint NOT NULL,
    epoch bigint NOT NULL DEFAULT 0,
    owner uuid,
    expires_at timestamptz,
    state text NOT NULL DEFAULT 'down' CHECK (state IN ('down', 'up')),
    note text NOT NULL DEFAULT '',
    changed_at timestamptz,
    lost_at timestamptz,
    lost_how text CHECK (
        lost_how IN ('lost', 'closed', 'refused', 'unparseable', 'unreachable')),
    lost_why text NOT NULL DEFAULT '',
    lived_ms bigint,
    losses integer NOT NULL DEFAULT 0,
    losing_since timestamptz,
    PRIMARY KEY (channel_id, slot),
    CHECK ((lost_at IS NULL) = (lost_how IS NULL)),
    CHECK ((lost_at IS NULL) = (losing_since IS NULL))
);

-- One row a channel that had a failed login or a link that never worked. `failures`: in a row, of
-- all its connections together; from 1 on, one connection at a time logs in, not before `next_at`,
-- which is of the database's own clock as leases are.
CREATE TABLE channel_logins (
    channel_id smallint PRIMARY KEY REFERENCES channels ON DELETE CASCADE,
    failures integer NOT NULL DEFAULT 0 CHECK (failures >= 0),
    next_at timestamptz
) WITH (fillfactor = 50);

-- What was refused to connections that somebody opened to a channel's listener: one row for each
-- kind of refusal, with how often it happened since `since`, with no hour without any in between,
-- and the address of the last.
CREATE TABLE refused_connections (
    channel_id smallint NOT NULL REFERENCES channels ON DELETE CASCADE,
    why text NOT NULL CHECK (why IN ('stranger', 'displaced', 'wrong_login', 'locked_out')),
    times bigint NOT NULL CHECK (times > 0),
    address text NOT NULL,
    since timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    PRIMARY KEY (channel_id, why)
);
