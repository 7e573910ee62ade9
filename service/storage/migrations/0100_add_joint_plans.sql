-- Joint plans: one text of the county on the lists of several departments, above all the bases of
-- the three carriers. The plan is a campaign that has legs in place of an audience and never makes
-- a run. Each leg is taken by its own department, and is a campaign of that department from then on.
SET LOCAL lock_timeout = '5s';

ALTER TABLE campaigns ADD COLUMN joint boolean NOT NULL DEFAULT false;
-- The joint plan whose leg this campaign is.
ALTER TABLE campaigns ADD COLUMN leg_of uuid;
ALTER TABLE campaigns
    ADD CONSTRAINT campaigns_leg_of_fkey FOREIGN KEY (leg_of) REFERENCES campaigns NOT VALID;
-- The constraint after it allows all that it allowed, and more.
-- squawk-ignore ban-drop-constraint
ALTER TABLE campaigns DROP CONSTRAINT for_a_segment_or_a_run;
ALTER TABLE campaigns ADD CONSTRAINT for_one_audience CHECK (
    num_nonnulls(segment_id, corrects, leg_of) + joint::integer = 1) NOT VALID;
-- A campaign is looked at with its joint plan, of a table that grows.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX campaigns_legs ON campaigns (leg_of) WHERE leg_of IS NOT NULL;

-- What is asked of each department, and what it answered. areas: what was approved, all if empty;
-- asked_areas: the fewer ones that it was asked for again, after it had returned the leg. A leg is `asked` once its plan is approved, and `left_out` when the plan is over and nobody
-- has taken it. paused_by: somebody of its own department paused it, so that a resume of the whole
-- plan does not let it go on.
CREATE TABLE campaign_legs (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    campaign_id uuid NOT NULL REFERENCES campaigns ON DELETE CASCADE,
    department_id uuid NOT NULL REFERENCES departments,
    areas text[] NOT NULL DEFAULT '{}',
    asked_areas text[],
    state text NOT NULL DEFAULT 'planned' CHECK (
        state IN ('planned', 'asked', 'taken', 'returned', 'left_out', 'cancelled')),
    taken_by uuid REFERENCES users,
    taken_at timestamptz,
    -- For which areas it was taken: those that were asked, or fewer.
    taken_areas text[],
    -- Its campaign, in its own department.
    own_campaign_id uuid UNIQUE REFERENCES campaigns,
    paused_by uuid REFERENCES users,
    paused_at timestamptz,
    UNIQUE (campaign_id, department_id),
    CONSTRAINT legs_taken_by_a_person CHECK (
        (state = 'taken') <= (taken_by IS NOT NULL AND taken_at IS NOT NULL
                              AND own_campaign_id IS NOT NULL)),
    CHECK ((paused_by IS NULL) = (paused_at IS NULL))
);
CREATE INDEX campaign_legs_open ON campaign_legs (department_id) WHERE state = 'asked';

-- The record of each leg: asked, taken, returned with a reason, asked again.
CREATE TABLE campaign_leg_moves (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    leg_id uuid NOT NULL REFERENCES campaign_legs ON DELETE CASCADE,
    from_state text NOT NULL,
    to_state text NOT NULL,
    user_id uuid REFERENCES users,
    reason text NOT NULL DEFAULT '',
    at timestamptz NOT NULL
);
CREATE INDEX campaign_leg_moves_leg ON campaign_leg_moves (leg_id, id);

-- Whether some persons hold, or held, a secret of others, or are the same. It is less strict than
-- `share_a_person`: that a third one holds a secret of both does not count. In a county all accounts
-- go back to its two administrators, who approve a plan by two in any case (decision 0390).
CREATE FUNCTION can_act_as(ours uuid[], theirs uuid[], at timestamptz) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT persons_behind(ours, at) INTERSECT SELECT unnest(theirs))
        OR EXISTS (SELECT persons_behind(theirs, at) INTERSECT SELECT unnest(ours))
$$;

-- Whoever takes a leg is of its department, and nobody who planned or approved the whole, nor
-- somebody who could act as one of them.
CREATE FUNCTION legs_another_person() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    hands uuid[];
BEGIN
    SELECT c.rule_editors || c.text_editors || ARRAY[
               c.submitted_by, c.edited_by, c.text_edited_by, c.rule_edited_by, c.approved_by,
               c.approved_for, c.second_approved_by, c.second_approved_for]
    INTO hands FROM campaigns c WHERE c.id = NEW.campaign_id;
    IF can_act_as(ARRAY[NEW.taken_by], hands, NEW.taken_at) THEN
        RAISE EXCEPTION 'a leg is taken by nobody of the side that planned it'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'legs_another_person';
    END IF;
    IF NOT EXISTS (SELECT FROM users u
                   WHERE u.id = NEW.taken_by AND u.department_id = NEW.department_id) THEN
        RAISE EXCEPTION 'a leg is taken by somebody of its own department'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'legs_another_person';
    END IF;
    RETURN NULL;
END $$;
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION can_act_as SET search_path = %I, pg_temp', current_schema());
    EXECUTE format('ALTER FUNCTION legs_another_person SET search_path = %I, pg_temp',
                   current_schema());
END $$;
CREATE TRIGGER legs_another_person AFTER INSERT OR UPDATE OF taken_by ON campaign_legs
    FOR EACH ROW WHEN (NEW.taken_by IS NOT NULL) EXECUTE FUNCTION legs_another_person();

-- A leg sends only after its own department took it.
CREATE FUNCTION legs_are_taken() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM campaign_legs l
                   WHERE l.own_campaign_id = NEW.id AND l.campaign_id = NEW.leg_of
                     AND l.department_id = NEW.department_id AND l.taken_by IS NOT NULL) THEN
        RAISE EXCEPTION 'a leg sends only after its own department took it'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'legs_are_taken';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER legs_are_taken AFTER UPDATE OF state ON campaigns FOR EACH ROW
    WHEN (NEW.leg_of IS NOT NULL AND NEW.state IN ('scheduled', 'running'))
    EXECUTE FUNCTION legs_are_taken();

-- A warning comes from the police and takes two; of a leg, its plan does.
CREATE OR REPLACE FUNCTION warnings_take_two_of_the_police() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state IN ('scheduled', 'running', 'paused', 'held', 'done') AND EXISTS (
        SELECT FROM template_versions v JOIN templates t ON t.id = v.template_id
        JOIN departments d ON d.id = coalesce(
            (SELECT p.department_id FROM campaigns p WHERE p.id = NEW.leg_of), NEW.department_id)
        WHERE v.id = NEW.template_version_id AND t.class = 'warning'
          AND (d.kind <> 'police' OR NEW.second_approved_by IS NULL)) THEN
        RAISE EXCEPTION 'a warning comes from the police and takes two approvers'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'warnings_take_two_of_the_police';
    END IF;
    RETURN NEW;
END $$;

-- A fire of a joint plan makes no run of its own: its legs do.
-- The constraint after it allows all that it allowed, and more.
-- squawk-ignore ban-drop-constraint
ALTER TABLE campaign_fires DROP CONSTRAINT campaign_fires_outcome_check;
ALTER TABLE campaign_fires ADD CONSTRAINT campaign_fires_outcome_check CHECK (
    outcome IN ('fired', 'skipped', 'held', 'missed', 'shared')) NOT VALID;

-- The legs that a fire of the whole had to leave out, because nobody had taken them by then.
CREATE TABLE left_out_legs (
    leg_id uuid NOT NULL REFERENCES campaign_legs ON DELETE CASCADE,
    planned_at timestamptz NOT NULL,
    state text NOT NULL,
    at timestamptz NOT NULL,
    -- When the leg was taken after all, and the fire was made up for.
    made_up_at timestamptz,
    PRIMARY KEY (leg_id, planned_at)
);

CREATE OR REPLACE FUNCTION note_fire() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    found text := CASE
        WHEN NEW.outcome = 'shared' THEN NULL
        WHEN NEW.outcome = 'held' AND NEW.released_at IS NOT NULL THEN 'released'
        WHEN NEW.outcome = 'fired' AND NEW.code = 'late' THEN 'late'
        WHEN NEW.outcome <> 'fired' THEN NEW.outcome END;
BEGIN
    IF found IS NOT NULL AND NEW.code <> 'calendar' THEN
        INSERT INTO interruptions
            (kind, code, by_person, department_id, campaign_id, planned_at, others, people, at)
        SELECT 'fire.' || found, NEW.code, NEW.code = 'person' OR found = 'released',
               c.department_id, c.id, NEW.planned_at, NEW.others, NEW.people, NEW.at
        FROM campaigns c WHERE c.id = NEW.campaign_id;
    END IF;
    RETURN NULL;
END $$;

-- What becomes of a leg is told to both sides: its department, and that of the plan.
CREATE FUNCTION note_leg() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO interruptions (kind, code, by_person, department_id, campaign_id, at)
    SELECT 'leg.' || CASE NEW.to_state WHEN 'planned' THEN 'withdrawn' ELSE NEW.to_state END, '', NEW.user_id IS NOT NULL, side.department_id,
           side.campaign_id, NEW.at
    FROM campaign_legs l JOIN campaigns c ON c.id = l.campaign_id,
        LATERAL (VALUES (l.department_id, coalesce(l.own_campaign_id, c.id)),
                        (c.department_id, c.id)) AS side(department_id, campaign_id)
    WHERE l.id = NEW.leg_id;
    RETURN NULL;
END $$;
CREATE TRIGGER note AFTER INSERT ON campaign_leg_moves FOR EACH ROW EXECUTE FUNCTION note_leg();

CREATE FUNCTION note_left_out() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO interruptions (kind, code, department_id, campaign_id, planned_at, at)
    SELECT 'fire.leg_left_out', 'leg_' || NEW.state, side.department_id, c.id, NEW.planned_at, NEW.at
    FROM campaign_legs l JOIN campaigns c ON c.id = l.campaign_id,
        LATERAL (VALUES (l.department_id), (c.department_id)) AS side(department_id)
    WHERE l.id = NEW.leg_id;
    RETURN NULL;
END $$;
CREATE TRIGGER note AFTER INSERT ON left_out_legs FOR EACH ROW EXECUTE FUNCTION note_left_out();

-- What happens to a leg's own campaign is told to the department of its plan as well.
CREATE FUNCTION tell_the_plan() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO interruptions
        (kind, code, by_person, department_id, campaign_id, planned_at, others, people, at)
    SELECT NEW.kind, NEW.code, NEW.by_person, p.department_id, p.id, NEW.planned_at, NEW.others,
           NEW.people, NEW.at
    FROM campaigns c JOIN campaigns p ON p.id = c.leg_of WHERE c.id = NEW.campaign_id;
    RETURN NULL;
END $$;
CREATE TRIGGER tell_the_plan AFTER INSERT ON interruptions FOR EACH ROW
    WHEN (NEW.campaign_id IS NOT NULL AND NEW.kind NOT LIKE 'leg.%')
    EXECUTE FUNCTION tell_the_plan();

-- The fire of a joint plan that a run belongs to, with those of the other legs and what follows
-- them: nobody gets it twice, whatever list they are on.
ALTER TABLE runs ADD COLUMN joint_fire uuid;
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX runs_joint_fire ON runs (joint_fire) WHERE joint_fire IS NOT NULL;

-- Who got, or may have got, the text of a joint fire, and by which run: taken in the mark, given
-- back if it provably never left. Keyed hashes, forgotten with the frequency caps.
CREATE TABLE joint_places (
    fire uuid NOT NULL,
    phone_hash bytea NOT NULL CHECK (octet_length(phone_hash) = 16),
    run_id uuid NOT NULL,
    PRIMARY KEY (fire, phone_hash)
);

-- The constraint after it allows all that it allowed, and more.
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
        'leg.cancelled', 'channel.shut', 'channel.recovered']) NOT VALID;

-- What is said of one person's text: not that the person is on somebody else's list.
CREATE FUNCTION shown_reason(reason text) RETURNS text IMMUTABLE LANGUAGE sql
    RETURN CASE reason WHEN 'other_leg' THEN 'same_text' ELSE reason END;

CREATE OR REPLACE FUNCTION tell_of_message() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM write_event(
        r.department_id, 'message.final', NEW.run_id,
        jsonb_build_object(
            'message_id', NEW.run_id || '.' || NEW.no, 'run_id', NEW.run_id, 'state', NEW.state,
            'reason', shown_reason(NEW.reason), 'code', NEW.code, 'attempt', NEW.attempt,
            'part_count', NEW.part_count, 'final_at', NEW.final_at),
        coalesce(NEW.final_at, now()))
    FROM runs r WHERE r.id = NEW.run_id;
    RETURN NULL;
END $$;
