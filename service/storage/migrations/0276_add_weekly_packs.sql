-- The county's pack of all weekly reports of a week, built version by version; and the events
-- `report.built` and `duty.late`.
SET LOCAL lock_timeout = '5s';

-- Weeks of which there is a pack. reports: what was handed in for them, counted in the transaction
-- that hands it in, so whoever reads both in one moment sees the same; packed: how many of these the
-- last version has, or will have; -1: there is no version yet.
CREATE TABLE pack_weeks (
    week text PRIMARY KEY,
    reports integer NOT NULL DEFAULT 0,
    packed integer NOT NULL DEFAULT -1
);
CREATE INDEX pack_weeks_open ON pack_weeks (week) WHERE reports > packed;

-- One version of the pack of a week. facts: as they were at as_of, as the text of which
-- facts_sha256 is the hash; NULL: not gathered yet. Whoever builds holds it until lives_until, by the
-- clock of the database; claims: how often somebody has begun.
CREATE TABLE packs (
    week text NOT NULL REFERENCES pack_weeks,
    version integer NOT NULL CHECK (version > 0),
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'built', 'failed')),
    asked_at timestamptz NOT NULL,
    as_of timestamptz,
    facts text,
    facts_sha256 bytea,
    units integer,
    handed_in integer,
    claims integer NOT NULL DEFAULT 0,
    lives_until timestamptz NOT NULL DEFAULT '-infinity',
    -- What is being done, and how far it is: so many of so many.
    step text NOT NULL DEFAULT '' CHECK (step IN ('', 'gathering', 'documents', 'pictures', 'signing')),
    done integer NOT NULL DEFAULT 0,
    total integer NOT NULL DEFAULT 0,
    problem text NOT NULL DEFAULT '',
    built_at timestamptz,
    octets bigint,
    manifest_sha256 bytea CHECK (octet_length(manifest_sha256) = 32),
    PRIMARY KEY (week, version),
    CONSTRAINT packs_gathered CHECK (
        num_nonnulls(as_of, facts, facts_sha256, units, handed_in) IN (0, 5)),
    CONSTRAINT packs_hash CHECK (facts_sha256 = sha256(convert_to(facts, 'UTF8'))),
    CONSTRAINT packs_built CHECK (
        (state = 'built') = (num_nonnulls(built_at, octets, manifest_sha256) = 3)),
    CONSTRAINT packs_built_of_facts CHECK (state <> 'built' OR facts IS NOT NULL)
);
CREATE INDEX packs_waiting ON packs (asked_at, week, version) WHERE state = 'waiting';

-- The files of a pack that was built, in their order, encrypted in pieces.
CREATE TABLE pack_files (
    week text NOT NULL,
    version integer NOT NULL,
    no integer NOT NULL,
    name text NOT NULL,
    octets bigint NOT NULL,
    sha256 bytea NOT NULL CHECK (octet_length(sha256) = 32),
    PRIMARY KEY (week, version, no),
    UNIQUE (week, version, name),
    FOREIGN KEY (week, version) REFERENCES packs
);
CREATE TABLE pack_pieces (
    week text NOT NULL,
    version integer NOT NULL,
    file_no integer NOT NULL,
    no integer NOT NULL,
    cipher bytea NOT NULL,
    PRIMARY KEY (week, version, file_no, no),
    FOREIGN KEY (week, version, file_no) REFERENCES pack_files
);

-- Facts that were frozen stay, and so does a pack that was built.
CREATE FUNCTION packs_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a pack that was built, and the facts of one, do not change'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'packs_stay';
END $$;
CREATE TRIGGER packs_stay BEFORE UPDATE ON packs FOR EACH ROW
    WHEN (OLD.state = 'built' OR OLD.facts IS NOT NULL
          AND (NEW.facts, NEW.as_of, NEW.units, NEW.handed_in)
              IS DISTINCT FROM (OLD.facts, OLD.as_of, OLD.units, OLD.handed_in))
    EXECUTE FUNCTION packs_stay();
CREATE TRIGGER packs_stay_there BEFORE DELETE ON packs FOR EACH ROW EXECUTE FUNCTION packs_stay();
CREATE TRIGGER pack_files_stay BEFORE UPDATE OR DELETE ON pack_files
    FOR EACH ROW EXECUTE FUNCTION packs_stay();
CREATE TRIGGER pack_pieces_stay BEFORE UPDATE OR DELETE ON pack_pieces
    FOR EACH ROW EXECUTE FUNCTION packs_stay();

-- Each report that is handed in for a week that has a pack makes a further version due.
CREATE FUNCTION count_for_pack() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE pack_weeks w SET reports = w.reports + 1
    FROM duties d JOIN departments s ON s.id = d.setter_id
    WHERE d.id = NEW.duty_id AND d.kind = 'weekly_report' AND s.kind = 'county'
      AND w.week = d.period;
    RETURN NULL;
END $$;
CREATE TRIGGER count_for_pack AFTER INSERT ON duty_reports
    FOR EACH ROW EXECUTE FUNCTION count_for_pack();

-- The weeks whose reports have become due lately.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX duties_weekly_due ON duties (due_at) WHERE kind = 'weekly_report';

-- When it was told that a duty is late; once.
ALTER TABLE duties ADD COLUMN late_told_at timestamptz;
-- What is late by now was late before anybody could be told: nobody is, in hundreds of calls.
UPDATE duties SET late_told_at = due_at WHERE state = 'open' AND due_at < now();
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX duties_to_tell_late ON duties (due_at) WHERE state = 'open' AND late_told_at IS NULL;

CREATE FUNCTION tell_of_late_duty() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM write_event(
        d.id, 'duty.late', NULL,
        jsonb_build_object(
            'duty_id', NEW.id, 'department_id', NEW.department_id, 'kind', NEW.kind,
            'period', NEW.period, 'due_at', NEW.due_at),
        NEW.late_told_at)
    FROM (SELECT NEW.department_id UNION SELECT NEW.setter_id) AS d(id)
    WHERE is_told(d.id, 'duty.late');
    RETURN NULL;
END $$;
CREATE TRIGGER tell_late AFTER UPDATE OF late_told_at ON duties FOR EACH ROW
    WHEN (NEW.late_told_at IS NOT NULL AND OLD.late_told_at IS NULL)
    EXECUTE FUNCTION tell_of_late_duty();

CREATE FUNCTION tell_of_pack() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM write_event(
        d.id, 'report.built', NULL,
        jsonb_build_object(
            'week', NEW.week, 'pack_version', NEW.version, 'units', NEW.units,
            'handed_in', NEW.handed_in),
        NEW.built_at)
    FROM departments d WHERE d.kind = 'county' AND is_told(d.id, 'report.built');
    RETURN NULL;
END $$;
CREATE TRIGGER tell AFTER UPDATE OF state ON packs FOR EACH ROW
    WHEN (NEW.state = 'built' AND OLD.state <> 'built') EXECUTE FUNCTION tell_of_pack();

-- It is put back at once, wider.
-- squawk-ignore ban-drop-constraint
ALTER TABLE webhooks DROP CONSTRAINT webhooks_events_check;
ALTER TABLE webhooks ADD CONSTRAINT webhooks_events_check CHECK (
    events <> '{}' AND events <@ ARRAY[
        'message.final', 'run.finished', 'inbound.received', 'import.finished', 'quota.warning',
        'webhook.disabled', 'webhook.test', 'stop_all.stopped', 'stop_all.lifted',
        'campaign.held', 'campaign.released', 'campaign.paused', 'campaign.resumed',
        'campaign.returned', 'campaign.reopened', 'campaign.not_firing', 'fire.held',
        'fire.released', 'fire.missed', 'fire.skipped', 'fire.late', 'fire.leg_left_out',
        'leg.asked', 'leg.withdrawn', 'leg.taken', 'leg.returned', 'leg.left_out',
        'leg.cancelled', 'channel.shut', 'channel.recovered',
        'text.revised', 'text.corrected', 'text.withdrawn',
        'bulletin.issued', 'followup.closed', 'duty.late', 'report.built']) NOT VALID;
