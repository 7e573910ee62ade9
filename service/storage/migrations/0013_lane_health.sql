-- How each channel is doing, the circuit breaker that follows from it, and what was done about it.

-- What one process saw of a channel since its last report; every few seconds, if there was anything.
-- Counts are of submits, but for receipts and delivered, which are of receipts. `times` counts the
-- answers by the bounds of service/dispatch/health.py. Deleted after an hour.
CREATE TABLE lane_health (
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
CREATE INDEX lane_health_channel ON lane_health (channel_id, at);

-- One row a channel, written by the schedulers; while `state` is open nothing is handed off on it.
CREATE TABLE lane_breakers (
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
CREATE TABLE lane_events (
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
CREATE INDEX lane_events_channel ON lane_events (channel_id, id);
