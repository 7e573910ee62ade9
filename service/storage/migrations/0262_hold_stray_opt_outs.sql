-- Opt-outs in bulk of people who had no text over the channel: held, until a person lets them count or
-- drops them. One open hold a channel.
CREATE TABLE opt_out_holds (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    channel_id smallint NOT NULL,
    began_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    decision text CHECK (decision IN ('count', 'drop')),
    reason text,
    decided_by uuid REFERENCES users,
    decided_at timestamptz,
    CHECK (num_nonnulls(decision, reason, decided_by, decided_at) IN (0, 4))
);
CREATE UNIQUE INDEX opt_out_holds_open ON opt_out_holds (channel_id) WHERE decided_at IS NULL;

-- stray_at: when an opt-out was read whose sender had no text over the channel.
ALTER TABLE inbound_texts ADD COLUMN stray_at timestamptz,
    ADD COLUMN hold_id uuid REFERENCES opt_out_holds;
CREATE INDEX inbound_texts_stray ON inbound_texts (channel_id, stray_at) WHERE stray_at IS NOT NULL;
CREATE INDEX inbound_texts_held ON inbound_texts (hold_id) WHERE hold_id IS NOT NULL;
