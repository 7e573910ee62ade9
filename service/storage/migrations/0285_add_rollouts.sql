-- Staggered rollouts: a campaign that goes to its villages in waves, in an order that a lot has drawn.
SET LOCAL lock_timeout = '5s';

-- One draw a campaign, for good. order_sha256 is bound by the approval, seed_sha256 stands in the
-- audit trail since the draw, and the seed since the end (revealed_at). power: what it could find,
-- simulated before it began.
CREATE TABLE rollouts (
    campaign_id uuid PRIMARY KEY REFERENCES campaigns,
    id uuid NOT NULL DEFAULT uuidv7() UNIQUE,
    waves smallint NOT NULL CHECK (waves BETWEEN 2 AND 12),
    every_days smallint NOT NULL CHECK (every_days > 0 AND every_days % 7 = 0),
    strata text NOT NULL CHECK (strata IN ('town', 'county')),
    seed bytea NOT NULL CHECK (octet_length(seed) = 32),
    seed_sha256 bytea NOT NULL CHECK (seed_sha256 = sha256(seed)),
    order_sha256 bytea NOT NULL CHECK (octet_length(order_sha256) = 32),
    power jsonb NOT NULL,
    drawn_by uuid NOT NULL REFERENCES users,
    drawn_at timestamptz NOT NULL,
    revealed_at timestamptz
);
CREATE INDEX rollouts_to_reveal ON rollouts (campaign_id) WHERE revealed_at IS NULL;

-- wave: from 1 on. people: who lived there when it was drawn.
CREATE TABLE rollout_areas (
    campaign_id uuid NOT NULL REFERENCES rollouts,
    area_code text NOT NULL,
    wave smallint NOT NULL CHECK (wave > 0),
    stratum text NOT NULL,
    people integer NOT NULL CHECK (people > 0),
    PRIMARY KEY (campaign_id, area_code)
);

-- The order is drawn once. What it was stays as it was.
CREATE FUNCTION rollouts_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND to_jsonb(OLD)->>'revealed_at' IS NULL
       AND to_jsonb(NEW) - 'revealed_at' = to_jsonb(OLD) - 'revealed_at' THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the order of a rollout does not change'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'rollouts_stay';
END $$;
CREATE TRIGGER rollouts_stay BEFORE UPDATE OR DELETE ON rollouts
    FOR EACH ROW EXECUTE FUNCTION rollouts_stay();
CREATE TRIGGER rollout_areas_stay BEFORE UPDATE OR DELETE ON rollout_areas
    FOR EACH ROW EXECUTE FUNCTION rollouts_stay();
