-- What is sent when: campaigns and their approvals, runs and what follows them, fires, stops, and
-- the record of what kept texts from being sent.

-- --------------------------------------------------------------------------------------- campaigns

CREATE TABLE campaigns (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    department_id uuid NOT NULL REFERENCES departments,
    name text NOT NULL,
    template_version_id uuid NOT NULL REFERENCES template_versions,
    segment_id uuid REFERENCES segments,
    channels smallint[],                -- NULL: chosen by the router
    priority text NOT NULL CHECK (priority IN ('urgent', 'normal', 'bulk')),
    schedule jsonb NOT NULL,
    max_tps integer CHECK (max_tps > 0),
    state text NOT NULL CHECK (state IN (
        'draft', 'pending_approval', 'returned', 'rejected', 'scheduled',
        'running', 'paused', 'held', 'done', 'cancelled')),
    next_fire_at timestamptz,
    created_by uuid NOT NULL REFERENCES users,
    created_at timestamptz NOT NULL,
    edited_by uuid NOT NULL REFERENCES users,
    -- Frozen at submission, bound by the approval:
    frozen_rule text,
    text_edited_by uuid REFERENCES users,
    rule_edited_by uuid REFERENCES users,
    submitted_by uuid REFERENCES users,
    submitted_at timestamptz,
    pending_until timestamptz,
    baseline integer,
    content_hash bytea,
    approved_by uuid REFERENCES users,
    approved_at timestamptz,
    approved_hash bytea,
    -- Segments use others: everybody who wrote any of them.
    rule_editors uuid[] NOT NULL DEFAULT '{}',
    -- What becomes of a text that a frequency cap stops: it waits while its validity allows, or
    -- ends. No cap stops a correction (`send`), and it counts for none.
    over_cap text NOT NULL DEFAULT 'defer',
    -- What lint said of the text when it was submitted; bound by the hash except for rule R24.
    verdict jsonb,
    -- The absent approver in whose place the approver acted; and the second approval of a warning.
    approved_for uuid REFERENCES users,
    second_approved_by uuid REFERENCES users,
    second_approved_for uuid REFERENCES users,
    second_approved_at timestamptz,
    period_start timestamptz,
    period_end timestamptz,
    drill boolean NOT NULL DEFAULT false,
    safety jsonb NOT NULL DEFAULT '{}',
    cloned_from uuid REFERENCES campaigns,
    -- What kind of key planned it; it never becomes more than that.
    key_mode text NOT NULL DEFAULT 'live' CHECK (key_mode IN ('live', 'trial', 'test')),
    -- Everybody who wrote any of the texts that were submitted (campaign_texts).
    text_editors uuid[] NOT NULL DEFAULT '{}',
    -- A correction goes to those who got this run, or may have, whatever any rule says. Its foreign
    -- key stands beside `runs`.
    corrects uuid,
    -- The next fire that has no row yet, while the campaign may not fire as well.
    expected_at timestamptz,
    -- It does not fire although it should, and somebody was told.
    silent_since timestamptz,
    CONSTRAINT for_a_segment_or_a_run CHECK ((segment_id IS NULL) = (corrects IS NOT NULL)),
    CONSTRAINT campaigns_over_cap_check CHECK (
        over_cap IN ('defer', 'stop') OR (over_cap = 'send' AND corrects IS NOT NULL)),
    CONSTRAINT a_period_ends_after_it_starts CHECK (period_start < period_end),

    -- Two persons, whatever the code above decides. A seat is the absent approver, or the approver
    -- where nobody was absent: no seat had a hand in the campaign, and none approves twice.
    CONSTRAINT nothing_runs_unapproved CHECK (
        state NOT IN ('scheduled', 'running', 'paused', 'held', 'done') OR approved_by IS NOT NULL),
    CONSTRAINT approved_by_a_second_person CHECK (
        approved_by IS NULL OR (
            approved_by <> submitted_by AND approved_by <> edited_by
            AND approved_by <> text_edited_by AND approved_by <> rule_edited_by
            AND submitted_by IS NOT NULL AND text_edited_by IS NOT NULL AND rule_edited_by IS NOT NULL
            AND approved_at IS NOT NULL AND approved_hash IS NOT NULL AND content_hash IS NOT NULL
            AND approved_hash = content_hash)),
    CONSTRAINT nobody_names_the_own_approver CHECK (
        approved_for IS NULL OR (
            approved_by IS NOT NULL AND approved_for <> approved_by
            AND approved_for <> submitted_by AND approved_for <> edited_by
            AND approved_for <> text_edited_by AND approved_for <> rule_edited_by)),
    CONSTRAINT second_approved_by_a_third_person CHECK (
        second_approved_by IS NULL OR (
            approved_by IS NOT NULL AND second_approved_at IS NOT NULL
            AND second_approved_by <> approved_by
            AND second_approved_by <> submitted_by AND second_approved_by <> edited_by
            AND second_approved_by <> text_edited_by AND second_approved_by <> rule_edited_by
            AND second_approved_by <> coalesce(approved_for, approved_by)
            AND coalesce(second_approved_for, second_approved_by)
                <> coalesce(approved_for, approved_by)
            AND coalesce(second_approved_for, second_approved_by) <> approved_by)),
    CONSTRAINT nobody_names_the_own_second_approver CHECK (
        second_approved_for IS NULL OR (
            second_approved_by IS NOT NULL AND second_approved_for <> second_approved_by
            AND second_approved_for <> submitted_by AND second_approved_for <> edited_by
            AND second_approved_for <> text_edited_by AND second_approved_for <> rule_edited_by)),
    CONSTRAINT approved_by_no_editor_of_the_rule CHECK (
        approved_by IS NULL OR approved_by <> ALL (rule_editors)),
    CONSTRAINT no_seat_edited_the_rule CHECK (
        (approved_for IS NULL OR approved_for <> ALL (rule_editors))
        AND (second_approved_by IS NULL OR second_approved_by <> ALL (rule_editors))
        AND (second_approved_for IS NULL OR second_approved_for <> ALL (rule_editors))),
    CONSTRAINT writers_of_texts_have_no_seat CHECK (
        (approved_by IS NULL OR approved_by <> ALL (text_editors))
        AND (approved_for IS NULL OR approved_for <> ALL (text_editors))
        AND (second_approved_by IS NULL OR second_approved_by <> ALL (text_editors))
        AND (second_approved_for IS NULL OR second_approved_for <> ALL (text_editors)))
);
CREATE INDEX campaigns_due ON campaigns (next_fire_at) WHERE state IN ('scheduled', 'running');
-- The drafts of a department, which are bounded.
CREATE INDEX campaigns_drafts ON campaigns (department_id) WHERE state IN ('draft', 'returned');

CREATE FUNCTION campaigns_another_person() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    hands uuid[] := NEW.rule_editors || NEW.text_editors
        || ARRAY[NEW.submitted_by, NEW.edited_by, NEW.text_edited_by, NEW.rule_edited_by];
BEGIN
    IF (NEW.approved_by, NEW.approved_for) IS DISTINCT FROM (OLD.approved_by, OLD.approved_for) THEN
        PERFORM need_another_person('campaigns_another_person',
            ARRAY[NEW.approved_by, NEW.approved_for], hands, NEW.approved_at);
    END IF;
    IF (NEW.second_approved_by, NEW.second_approved_for)
        IS DISTINCT FROM (OLD.second_approved_by, OLD.second_approved_for) THEN
        PERFORM need_another_person('campaigns_another_person',
            ARRAY[NEW.second_approved_by, NEW.second_approved_for],
            hands || ARRAY[NEW.approved_by, NEW.approved_for], NEW.second_approved_at);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER campaigns_another_person AFTER INSERT OR UPDATE
    OF approved_by, approved_for, second_approved_by, second_approved_for ON campaigns
    FOR EACH ROW EXECUTE FUNCTION campaigns_another_person();

-- A warning (Anti-Telecom and Online Fraud Law, article 34) comes from the police, and takes two.
CREATE FUNCTION warnings_take_two_of_the_police() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state IN ('scheduled', 'running', 'paused', 'held', 'done') AND EXISTS (
        SELECT FROM template_versions v JOIN templates t ON t.id = v.template_id
        JOIN departments d ON d.id = NEW.department_id
        WHERE v.id = NEW.template_version_id AND t.class = 'warning'
          AND (d.kind <> 'police' OR NEW.second_approved_by IS NULL)) THEN
        RAISE EXCEPTION 'a warning comes from the police and takes two approvers'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'warnings_take_two_of_the_police';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER warnings_take_two_of_the_police BEFORE INSERT OR UPDATE ON campaigns
    FOR EACH ROW EXECUTE FUNCTION warnings_take_two_of_the_police();

-- Several texts of one campaign: one after the other to the same people, or one a fire in turn. The
-- first text stays in the campaign itself. after_days: how many days after the fire the text goes
-- to the same people; NULL in all of them: the texts take turns. verdict: what lint said at
-- submission.
CREATE TABLE campaign_texts (
    campaign_id uuid NOT NULL REFERENCES campaigns ON DELETE CASCADE,
    no smallint NOT NULL CHECK (no BETWEEN 2 AND 20),
    template_version_id uuid NOT NULL REFERENCES template_versions,
    after_days smallint CHECK (after_days BETWEEN 1 AND 366),
    verdict jsonb,
    PRIMARY KEY (campaign_id, no)
);

-- The findings of level `review` that an approver said to have read.
CREATE TABLE acknowledgements (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    campaign_id uuid REFERENCES campaigns,
    template_version_id uuid REFERENCES template_versions,
    user_id uuid NOT NULL REFERENCES users,
    findings jsonb NOT NULL,
    at timestamptz NOT NULL,
    CHECK ((campaign_id IS NULL) <> (template_version_id IS NULL))
);
CREATE INDEX acknowledgements_campaign ON acknowledgements (campaign_id);

-- The record of a campaign's moves. code: why, for programs; what people write is in `reason`.
CREATE TABLE campaign_moves (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    campaign_id uuid NOT NULL REFERENCES campaigns,
    from_state text NOT NULL,
    to_state text NOT NULL,
    user_id uuid REFERENCES users,
    reason text NOT NULL DEFAULT '',
    at timestamptz NOT NULL,
    code text NOT NULL DEFAULT ''
);
-- A campaign's record is asked for at each look at it, of a table that grows.
CREATE INDEX campaign_moves_campaign ON campaign_moves (campaign_id, id);

CREATE TABLE milestones (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    campaign_id uuid NOT NULL REFERENCES campaigns,
    name text NOT NULL CHECK (name <> ''),
    due_on date NOT NULL,
    created_by uuid NOT NULL REFERENCES users,
    created_at timestamptz NOT NULL,
    done_by uuid REFERENCES users,
    done_at timestamptz,
    note text NOT NULL DEFAULT '',
    CHECK ((done_by IS NULL) = (done_at IS NULL))
);
CREATE INDEX milestones_campaign ON milestones (campaign_id, due_on);

-- The audience of each campaign, counted in the background, so that a calendar of all campaigns
-- counts nobody. rule: the one that was counted; another one is counted again, and so is an old
-- count. target NULL: the rule could not be read. sample: the smallest hashes of its people, by
-- which two audiences are compared; a hash of a keyed hash, of which no number can be found.
CREATE TABLE audience_estimates (
    campaign_id uuid PRIMARY KEY REFERENCES campaigns ON DELETE CASCADE,
    rule text NOT NULL,
    counted_at timestamptz NOT NULL,
    target int,
    by_carrier jsonb NOT NULL,
    sample bigint[] NOT NULL
);

-- What was forecast of each fire when a campaign was submitted: its audience and whom the caps will
-- take. It is what the approver was told; a preview says how it stands now.
CREATE TABLE submission_forecasts (
    campaign_id uuid PRIMARY KEY REFERENCES campaigns ON DELETE CASCADE,
    submitted_at timestamptz NOT NULL,
    forecast jsonb NOT NULL
);

-- Whom an approval was for: of each person of the target the first four octets of the keyed hash of
-- the phone, a megabyte for 250,000 people. planned_at: NULL for the people of the approval in
-- force; else those of a fire that is held because they are others, who take its place when it is
-- released.
CREATE TABLE campaign_targets (
    campaign_id uuid NOT NULL REFERENCES campaigns,
    planned_at timestamptz,
    people integer[] STORAGE EXTERNAL NOT NULL, -- hashes do not compress
    taken_at timestamptz NOT NULL,
    UNIQUE NULLS NOT DISTINCT (campaign_id, planned_at)
);

-- A campaign that has ended fires no more.
CREATE FUNCTION forget_targets() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM campaign_targets WHERE campaign_id = NEW.id;
    RETURN NULL;
END $$;
CREATE TRIGGER forget_targets AFTER UPDATE OF state ON campaigns FOR EACH ROW
    WHEN (NEW.state IN ('done', 'cancelled', 'rejected')) EXECUTE FUNCTION forget_targets();

-- Settings of the whole county, each version a row: the last of a kind is in force.
CREATE TABLE county_settings (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('calendar', 'send_hours')),
    body jsonb NOT NULL,
    reason text NOT NULL,
    set_by uuid REFERENCES users,
    set_at timestamptz NOT NULL
);
CREATE INDEX county_settings_kind ON county_settings (kind, id);

-- -------------------------------------------------------------------------------------------- runs

-- One fire of one campaign, or a run to people who are named one by one: a reply of ours, or a
-- direct send. What it sends is copied in, so that later edits change nothing.
CREATE TABLE runs (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    campaign_id uuid REFERENCES campaigns,
    department_id uuid NOT NULL REFERENCES departments,
    fire_at timestamptz NOT NULL,
    state text NOT NULL CHECK (state IN ('expanding', 'running', 'paused', 'sent', 'cancelled')),
    priority text NOT NULL CHECK (priority IN ('urgent', 'normal', 'bulk')),
    class text NOT NULL,
    text text NOT NULL,
    rule text,
    channels smallint[],
    send_hours jsonb NOT NULL,
    timezone text NOT NULL,
    valid_until timestamptz,
    max_tps integer,
    -- How many people the rule gave at the fire; `baseline` is the count at submission.
    target integer,
    created_at timestamptz NOT NULL,
    started_at timestamptz,
    finished_at timestamptz,
    -- When no row of the run's ledger is open any more.
    settled_at timestamptz,
    kind text NOT NULL DEFAULT 'campaign' CHECK (kind IN ('campaign', 'reply', 'direct')),
    -- The reason of the suppressions that its texts pass: a confirmation of an opt-out goes to
    -- somebody who has just opted out.
    confirms text CHECK (confirms = 'opted_out'),
    -- When a run that is handed off is looked at again, whether anything of it is still open. A
    -- look reads its whole ledger, so looks grow rarer the longer the run has been waiting for
    -- receipts.
    settle_at timestamptz,
    baseline integer,
    -- As campaigns.over_cap; `send` for runs that are no broadcast: no cap, and it counts for none.
    over_cap text NOT NULL DEFAULT 'defer' CHECK (over_cap IN ('defer', 'stop', 'send')),
    -- A run's phone numbers are dropped in stretches of its ledger: up to here; all of them, at.
    numbers_dropped_to integer NOT NULL DEFAULT 0,
    numbers_dropped_at timestamptz,
    -- Beside the plan's hours: whose hours of the county apply, and what the plan is allowed
    -- beyond.
    audience text,
    beyond_hours boolean NOT NULL DEFAULT false,
    on_quiet_days boolean NOT NULL DEFAULT false,
    -- What a run is for: people, or a test to the approver's own phone. Reports count the rest
    -- apart.
    mode text NOT NULL DEFAULT 'real' CHECK (mode IN ('real', 'drill', 'test')),
    safety jsonb NOT NULL DEFAULT '{}',
    -- `sending` while only its first people get the text; then `passed`, or `failed` and paused.
    canary text CHECK (canary IN ('sending', 'passed', 'failed')),
    -- What was marked before is not judged again: a person has looked at it and resumed.
    watched_from timestamptz,
    key_mode text NOT NULL DEFAULT 'live' CHECK (key_mode IN ('live', 'trial', 'test')),
    -- Why nobody may get it, found at its expansion.
    barred text,
    sent_by uuid REFERENCES users,
    template_version_id uuid REFERENCES template_versions,
    -- What its callback_url became. Its foreign key stands beside `webhooks`.
    webhook_id uuid,
    -- The roles of whose newcomers a run is; NULL: it is for everybody whom its rule gives.
    newcomers text[],
    -- Which of its campaign's texts it sends, counted from 1.
    text_no smallint NOT NULL DEFAULT 1,
    -- A `step` sends a later text of a sequence to the people of the run that it follows, a
    -- `resend` the same text to those of them whom it did not reach, a `top_up` to those who have
    -- joined since, a `correction` another text to those who got it.
    follows uuid REFERENCES runs,
    relation text CHECK (relation IN ('step', 'resend', 'top_up', 'correction')),
    -- The reason that texts of a cancelled run end with, also those that come back later; NULL:
    -- that of a campaign.
    cancel_reason text,
    -- The extension number that it leaves from, where that is not its department's: an answer
    -- leaves from the number that was written to; '': from the bare number. NULL: the department's.
    extension text,
    -- What it was released with: the canonical text of what was approved, whose SHA-256 the
    -- approval binds, and who submitted and approved it. An edit of a campaign that fires again
    -- takes these from the campaign; the evidence of what it had sent before must not change by
    -- that.
    content text,
    release jsonb,
    CONSTRAINT a_campaign_has_a_rule CHECK (
        (kind = 'campaign') = (campaign_id IS NOT NULL) AND (kind = 'campaign') = (rule IS NOT NULL)),
    CONSTRAINT only_replies_confirm CHECK (confirms IS NULL OR kind = 'reply'),
    CONSTRAINT somebody_sent_it CHECK ((kind = 'direct') = (sent_by IS NOT NULL)),
    CONSTRAINT what_follows_says_how CHECK ((follows IS NULL) = (relation IS NULL))
);
CREATE INDEX runs_open ON runs (id) WHERE state IN ('expanding', 'running', 'paused');
CREATE INDEX runs_unsettled ON runs (settle_at NULLS FIRST)
    WHERE settled_at IS NULL AND state IN ('sent', 'cancelled');
CREATE INDEX runs_with_numbers ON runs (created_at) WHERE numbers_dropped_at IS NULL;
CREATE INDEX runs_campaign ON runs (campaign_id, id);
CREATE INDEX runs_following ON runs (follows) WHERE follows IS NOT NULL;
-- A claim looks at each campaign's run that is running, and at the oldest direct runs of each
-- department that have something to hand off, however many runs there were.
CREATE INDEX runs_of_campaigns ON runs (id) WHERE campaign_id IS NOT NULL AND state = 'running';
CREATE INDEX runs_direct ON runs (department_id, id) WHERE campaign_id IS NULL AND state = 'running';
-- A fire has one run, and so has a step of what the fire began; both may come at the same instant.
-- A correction fires once.
CREATE UNIQUE INDEX runs_fire ON runs (campaign_id, fire_at) WHERE follows IS NULL;
CREATE UNIQUE INDEX runs_step ON runs (follows, text_no) WHERE relation = 'step';
CREATE UNIQUE INDEX runs_correction ON runs (campaign_id) WHERE relation = 'correction';

ALTER TABLE campaigns
    ADD CONSTRAINT campaigns_corrects_fkey FOREIGN KEY (corrects) REFERENCES runs;

-- Tests of a campaign's text to the approver's own phone.
CREATE TABLE test_sends (
    run_id uuid PRIMARY KEY REFERENCES runs,
    campaign_id uuid NOT NULL REFERENCES campaigns,
    content_hash bytea NOT NULL,
    user_id uuid NOT NULL REFERENCES users,
    sent_at timestamptz NOT NULL,
    text_no smallint NOT NULL DEFAULT 1
);
CREATE INDEX test_sends_campaign ON test_sends (campaign_id);
CREATE INDEX test_sends_user ON test_sends (user_id, sent_at);

-- ------------------------------------------------------------------------------------------- fires

-- What became of each fire of a campaign, so that none is silently missed and none comes twice. A
-- fire that waits for a person (`held`), or whose time passed while its campaign could not fire
-- (`missed`), has its row as well. A held one is released by whoever lets it go; its run follows.
CREATE TABLE campaign_fires (
    campaign_id uuid NOT NULL REFERENCES campaigns,
    planned_at timestamptz NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('fired', 'skipped', 'held', 'missed')),
    note text NOT NULL DEFAULT '',
    run_id uuid REFERENCES runs,
    at timestamptz NOT NULL,
    code text NOT NULL DEFAULT '',
    released_at timestamptz,
    released_by uuid REFERENCES users,
    -- Of so many people of the fire, so many were not in the approved target.
    others integer,
    people integer,
    PRIMARY KEY (campaign_id, planned_at),
    CHECK ((outcome = 'fired') = (run_id IS NOT NULL)),
    CHECK (released_at IS NULL OR outcome IN ('held', 'fired')),
    CHECK ((released_at IS NULL) = (released_by IS NULL)),
    CHECK ((others IS NULL) = (people IS NULL))
);
-- What waits for a person is asked for often; of all fires few were held or missed.
CREATE INDEX campaign_fires_held ON campaign_fires (campaign_id) WHERE outcome = 'held';
CREATE INDEX campaign_fires_missed ON campaign_fires (campaign_id) WHERE outcome = 'missed';

-- A fire that is decided waits no more.
CREATE FUNCTION forget_target_of_fire() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM campaign_targets
    WHERE campaign_id = NEW.campaign_id AND planned_at = NEW.planned_at;
    RETURN NULL;
END $$;
CREATE TRIGGER forget_target AFTER UPDATE OF outcome ON campaign_fires FOR EACH ROW
    WHEN (OLD.outcome = 'held' AND NEW.outcome <> 'held')
    EXECUTE FUNCTION forget_target_of_fire();

-- What is to follow a run of a sequence, and what became of it. planned_at: by the days of the
-- plan; due_at: as things are, for a late step moves those after it. outcome: NULL while it is to
-- come. missed_at: when it was noticed that its time had passed while its campaign could not fire.
CREATE TABLE sequence_steps (
    id bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    origin_id uuid NOT NULL REFERENCES runs,
    text_no smallint NOT NULL,
    campaign_id uuid NOT NULL REFERENCES campaigns,
    planned_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    outcome text CHECK (outcome IN ('fired', 'skipped')),
    note text NOT NULL DEFAULT '',
    run_id uuid REFERENCES runs,
    at timestamptz,
    missed_at timestamptz,
    PRIMARY KEY (origin_id, text_no),
    CHECK ((run_id IS NOT NULL) = (outcome IS NOT DISTINCT FROM 'fired')),
    CHECK ((at IS NULL) = (outcome IS NULL))
);
CREATE INDEX sequence_steps_due ON sequence_steps (due_at) WHERE outcome IS NULL;
CREATE INDEX sequence_steps_campaign ON sequence_steps (campaign_id, id);

-- --------------------------------------------------------------------------------------- newcomers

-- Campaigns that write to whoever newly has a role: which roles each looks for, since its first
-- approval.
CREATE TABLE newcomer_watches (
    campaign_id uuid PRIMARY KEY REFERENCES campaigns ON DELETE CASCADE,
    roles text[] NOT NULL,
    since timestamptz NOT NULL
);

-- Whom each has met, so that nobody is met twice. roles: those that the person had when the watch
-- for them began. met_by: the run that had the person in its ledger or among its exclusions; all
-- roles count as known then. again_at: from then on the person counts as new once more, for what
-- kept the text from them passes.
CREATE TABLE acquaintances (
    campaign_id uuid NOT NULL REFERENCES newcomer_watches ON DELETE CASCADE,
    phone_hash bytea NOT NULL CHECK (octet_length(phone_hash) = 16),
    roles text[] NOT NULL DEFAULT '{}',
    met_by uuid REFERENCES runs,
    again_at timestamptz,
    PRIMARY KEY (campaign_id, phone_hash)
);

-- ------------------------------------------------------------------------------------------- stops

-- Stopping everything at once: while one of these is not lifted, no message is marked as leaving,
-- whatever run it belongs to.
CREATE TABLE stops (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cause text NOT NULL CHECK (cause IN ('person', 'restored')),
    reason text NOT NULL CHECK (reason <> ''),
    stopped_by uuid REFERENCES users,   -- NULL: the scheduler or the command line
    stopped_at timestamptz NOT NULL,
    lifted_by uuid REFERENCES users,
    lifted_at timestamptz,
    lift_reason text,
    CHECK (cause = 'restored' OR stopped_by IS NOT NULL),
    CHECK (num_nulls(lifted_by, lifted_at, lift_reason) IN (0, 3))
);
CREATE UNIQUE INDEX stops_one_at_a_time ON stops ((true)) WHERE lifted_at IS NULL;

-- How often this database has been seen alive, and in which cluster. A witness outside of it
-- remembers the last beat; a database that is behind its witness, or in another cluster, was
-- restored.
CREATE TABLE generation (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    beat bigint NOT NULL,
    cluster text NOT NULL
);

-- ----------------------------------------------------------------------------------- interruptions

-- What keeps texts from being sent, and what lets them go on: one row each, told to webhooks,
-- counted by /metrics, shown in the calendar and in the report of a campaign. The triggers below
-- write them, so that no code can forget to.
CREATE TABLE interruptions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL,
    code text NOT NULL DEFAULT '',
    by_person boolean NOT NULL DEFAULT false,
    department_id uuid REFERENCES departments,  -- NULL: it concerns all
    campaign_id uuid REFERENCES campaigns,
    planned_at timestamptz,                     -- of a fire
    channel_id smallint REFERENCES channels ON DELETE SET NULL,
    stop_id bigint REFERENCES stops,
    at timestamptz NOT NULL,
    others integer,                             -- as in campaign_fires
    people integer
);
CREATE INDEX interruptions_campaign ON interruptions (campaign_id, at);
CREATE INDEX interruptions_at ON interruptions (at);
CREATE INDEX interruptions_kind ON interruptions (kind, code);

CREATE FUNCTION note_move() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    found text := CASE
        WHEN NEW.to_state IN ('held', 'paused', 'returned') THEN NEW.to_state
        WHEN NEW.from_state = 'held' AND NEW.to_state = 'scheduled' THEN 'released'
        WHEN NEW.from_state = 'paused' AND NEW.to_state IN ('scheduled', 'running') THEN 'resumed'
        WHEN NEW.from_state IN ('scheduled', 'running') AND NEW.to_state = 'pending_approval'
            THEN 'reopened' END;
BEGIN
    IF found IS NOT NULL THEN
        INSERT INTO interruptions (kind, code, by_person, department_id, campaign_id, at)
        SELECT 'campaign.' || found, NEW.code, NEW.user_id IS NOT NULL, c.department_id, c.id,
               NEW.at
        FROM campaigns c WHERE c.id = NEW.campaign_id;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER note AFTER INSERT ON campaign_moves FOR EACH ROW EXECUTE FUNCTION note_move();

-- A fire that takes place in time is nothing to tell of; what the calendar leaves out is no
-- surprise.
CREATE FUNCTION note_fire() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    found text := CASE
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
CREATE TRIGGER note AFTER INSERT OR UPDATE ON campaign_fires FOR EACH ROW
    EXECUTE FUNCTION note_fire();

-- A step of a sequence that did not take place, or came late, is told of as a fire is.
CREATE FUNCTION note_step() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    found text := CASE
        WHEN NEW.outcome IS NULL AND NEW.missed_at IS NOT NULL THEN 'missed'
        WHEN NEW.outcome = 'skipped' THEN 'skipped'
        WHEN NEW.at > NEW.due_at + interval '15 minutes' OR NEW.missed_at IS NOT NULL THEN 'late'
        END;
BEGIN
    IF found IS NOT NULL THEN
        INSERT INTO interruptions
            (kind, code, by_person, department_id, campaign_id, planned_at, at)
        SELECT 'fire.' || found,
               CASE WHEN found <> 'missed' THEN CASE WHEN NEW.note = 'too late to fire'
                    OR found = 'late' THEN 'late' ELSE 'person' END
               ELSE coalesce(nullif((
                   SELECT m.code FROM campaign_moves m WHERE m.campaign_id = c.id
                   ORDER BY m.id DESC LIMIT 1), ''), c.state) END,
               found = 'skipped' AND NEW.note <> 'too late to fire', c.department_id, c.id,
               NEW.planned_at, coalesce(NEW.at, NEW.missed_at)
        FROM campaigns c WHERE c.id = NEW.campaign_id;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER note AFTER UPDATE OF outcome, missed_at ON sequence_steps FOR EACH ROW
    WHEN (NEW.outcome IS DISTINCT FROM OLD.outcome
          OR NEW.missed_at IS NOT NULL AND OLD.missed_at IS NULL)
    EXECUTE FUNCTION note_step();

CREATE FUNCTION note_silence() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO interruptions (kind, code, department_id, campaign_id, at)
    VALUES ('campaign.not_firing', CASE WHEN NEW.next_fire_at IS NULL
                AND NEW.schedule->>'kind' IN ('recurring', 'joining') THEN 'no_next_fire'
            ELSE 'trouble' END, NEW.department_id, NEW.id, NEW.silent_since);
    RETURN NULL;
END $$;
CREATE TRIGGER note_silence AFTER UPDATE OF silent_since ON campaigns FOR EACH ROW
    WHEN (NEW.silent_since IS NOT NULL AND OLD.silent_since IS NULL)
    EXECUTE FUNCTION note_silence();

CREATE FUNCTION note_stop() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO interruptions (kind, code, by_person, stop_id, at)
        VALUES ('stop_all.stopped', NEW.cause, NEW.cause = 'person', NEW.id, NEW.stopped_at);
    ELSIF NEW.lifted_at IS NOT NULL AND OLD.lifted_at IS NULL THEN
        INSERT INTO interruptions (kind, code, by_person, stop_id, at)
        VALUES ('stop_all.lifted', NEW.cause, true, NEW.id, NEW.lifted_at);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER note AFTER INSERT OR UPDATE ON stops FOR EACH ROW EXECUTE FUNCTION note_stop();
