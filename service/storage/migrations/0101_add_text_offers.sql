-- Texts for others. The police and the county offer an approved version to kinds of departments or
-- to named ones; a department takes it over as a copy with a pointer: its own signature, the same
-- words. Until now a text could not be seen by another department, so each typed the words anew, and
-- nobody knew who used words that turned out to be wrong.

SET LOCAL lock_timeout = '5s';

-- An offer never changes; it is withdrawn once, for good. replaces: the offer of the same
-- template before this one. correction: the words before were wrong. direct: a department's direct
-- sends of an unchanged copy need no approval of its own. stops: the withdrawal also paused the
-- runs under way.
CREATE TABLE text_offers (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    template_version_id uuid NOT NULL REFERENCES template_versions,
    kinds text[] NOT NULL,
    department_ids uuid[] NOT NULL,
    direct boolean NOT NULL,
    correction boolean NOT NULL,
    note text NOT NULL,
    replaces uuid UNIQUE REFERENCES text_offers,
    offered_by uuid NOT NULL REFERENCES users,
    -- In whose place a deputy offered it.
    offered_for uuid REFERENCES users,
    offered_at timestamptz NOT NULL,
    withdrawn_by uuid REFERENCES users,
    withdrawn_at timestamptz,
    withdrawn_why text CHECK (withdrawn_why <> ''),
    stops boolean NOT NULL DEFAULT false,
    CONSTRAINT offered_to_somebody CHECK (kinds <> '{}' OR department_ids <> '{}'),
    CONSTRAINT a_correction_replaces CHECK (replaces IS NOT NULL OR NOT correction),
    CONSTRAINT a_withdrawal_says_who_and_why CHECK (
        num_nulls(withdrawn_by, withdrawn_at, withdrawn_why) IN (0, 3)
        AND (withdrawn_at IS NOT NULL OR NOT stops))
);
CREATE INDEX text_offers_version ON text_offers (template_version_id);

-- The offer that a version is an unchanged copy of; NULL: words of the department's own.
ALTER TABLE template_versions ADD COLUMN taken_from uuid;
ALTER TABLE template_versions ADD CONSTRAINT template_versions_taken_from_fkey
    FOREIGN KEY (taken_from) REFERENCES text_offers NOT VALID;
-- Texts are some thousands.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX template_versions_taken ON template_versions (taken_from) WHERE taken_from IS NOT NULL;
-- The plans whose texts are frozen; few of all campaigns.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX campaigns_frozen ON campaigns (id)
    WHERE state IN ('pending_approval', 'scheduled', 'running', 'paused', 'held');

-- Of a text what its signature does not say; `messages.signature.words` does the same.
CREATE FUNCTION words_of(body text) RETURNS text IMMUTABLE PARALLEL SAFE LANGUAGE sql AS $$
    SELECT regexp_replace(body, '^【[^【】]{1,30}】', '')
$$;

-- Whether a department may take an offer: its kind or itself is named, or it has a copy of an
-- earlier version.
CREATE FUNCTION is_offered_to(offer uuid, department uuid) RETURNS boolean STABLE LANGUAGE sql AS $$
    SELECT EXISTS (
        SELECT FROM text_offers o JOIN template_versions v ON v.id = o.template_version_id
        JOIN templates t ON t.id = v.template_id JOIN departments d ON d.id = department
        WHERE o.id = offer AND t.department_id <> d.id
          AND (d.kind = ANY (o.kinds) OR d.id = ANY (o.department_ids) OR EXISTS (
              SELECT FROM template_versions offered
              JOIN text_offers e ON e.template_version_id = offered.id
              JOIN template_versions copy ON copy.taken_from = e.id
              JOIN templates own ON own.id = copy.template_id
              WHERE offered.template_id = v.template_id AND own.department_id = d.id)))
$$;

-- The withdrawn offer by which nobody may send the words of a version; NULL: they may be sent. The
-- words of an origin stand again once the same version is offered anew.
CREATE FUNCTION withdrawn_offer_of(version uuid) RETURNS uuid STABLE LANGUAGE sql AS $$
    SELECT o.id FROM template_versions v
    JOIN text_offers o ON o.id = v.taken_from OR o.template_version_id = v.id
    WHERE v.id = version AND o.withdrawn_at IS NOT NULL
      AND (o.id = v.taken_from OR NOT EXISTS (
          SELECT FROM text_offers s
          WHERE s.template_version_id = v.id AND s.withdrawn_at IS NULL))
    ORDER BY o.withdrawn_at DESC LIMIT 1
$$;

-- Who uses copies of these offers: each template whose latest version is one or of which a plan has
-- frozen one (campaign_id NULL), and each such plan; and the legs of joint plans of the origin, which
-- send the offered version itself. A draft holds no words: its submission takes the latest.
CREATE FUNCTION users_of_copies(offers uuid[])
RETURNS TABLE (department_id uuid, template_id uuid, campaign_id uuid) STABLE LANGUAGE sql AS $$
    WITH copies AS (
        SELECT t.department_id, t.id AS template_id, v.id AS version_id, NOT EXISTS (
            SELECT FROM template_versions n WHERE n.template_id = t.id AND n.no > v.no) AS latest
        FROM template_versions v JOIN templates t ON t.id = v.template_id
        WHERE v.taken_from = ANY (offers)
    ), offered AS (
        SELECT t.department_id, t.id AS template_id, v.id AS version_id
        FROM template_versions v JOIN templates t ON t.id = v.template_id
        WHERE v.id IN (SELECT template_version_id FROM text_offers WHERE id = ANY (offers))
    ), plans AS (
        SELECT c.id, c.department_id, x.version_id
        FROM campaigns c CROSS JOIN LATERAL (
            SELECT c.template_version_id AS version_id UNION ALL
            SELECT template_version_id FROM campaign_texts WHERE campaign_id = c.id) x
        WHERE c.state IN ('pending_approval', 'scheduled', 'running', 'paused', 'held')
    )
    SELECT k.department_id, k.template_id, NULL::uuid FROM copies k
    WHERE k.latest OR EXISTS (SELECT FROM plans p WHERE p.version_id = k.version_id)
    UNION
    SELECT k.department_id, k.template_id, p.id
    FROM copies k JOIN plans p ON p.version_id = k.version_id
    UNION
    SELECT p.department_id, o.template_id, p.id
    FROM offered o JOIN plans p ON p.version_id = o.version_id AND p.department_id <> o.department_id
$$;

-- ------------------------------------------------------------------- what nobody can get around

-- A version never changes; else an approval or a pointer would come to mean other words.
CREATE FUNCTION versions_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a version of a text never changes'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'versions_stay';
END $$;
CREATE TRIGGER versions_stay BEFORE UPDATE OF template_id, no, text, edited_by, taken_from
    ON template_versions FOR EACH ROW
    WHEN ((OLD.template_id, OLD.no, OLD.text, OLD.edited_by, OLD.taken_from)
          IS DISTINCT FROM (NEW.template_id, NEW.no, NEW.text, NEW.edited_by, NEW.taken_from))
    EXECUTE FUNCTION versions_stay();

-- A pointer cannot be forged: whatever has one has the words and the class that were offered to its
-- department. The lock lets a withdrawal see the copy, or the copy the withdrawal.
CREATE FUNCTION copies_are_as_offered() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    offer text_offers;
BEGIN
    SELECT * INTO offer FROM text_offers WHERE id = NEW.taken_from FOR SHARE;
    IF offer.withdrawn_at IS NOT NULL THEN
        RAISE EXCEPTION 'withdrawn words are not taken over' USING
            ERRCODE = 'check_violation', CONSTRAINT = 'withdrawn_words_are_not_taken';
    END IF;
    IF NOT EXISTS (
        SELECT FROM template_versions v JOIN templates origin ON origin.id = v.template_id
        JOIN templates own ON own.id = NEW.template_id
        WHERE v.id = offer.template_version_id AND words_of(v.text) = words_of(NEW.text)
          AND own.class = origin.class AND is_offered_to(offer.id, own.department_id)) THEN
        RAISE EXCEPTION 'a copy has the words that were offered to its department' USING
            ERRCODE = 'check_violation', CONSTRAINT = 'copies_are_as_offered';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER copies_are_as_offered BEFORE INSERT ON template_versions FOR EACH ROW
    WHEN (NEW.taken_from IS NOT NULL) EXECUTE FUNCTION copies_are_as_offered();

-- Whoever wrote the words in another department has a hand in them, too.
CREATE OR REPLACE FUNCTION template_versions_another_person() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM need_another_person('template_versions_another_person',
        ARRAY[NEW.approved_by, NEW.approved_for], ARRAY[NEW.edited_by, (
            SELECT v.edited_by FROM text_offers o
            JOIN template_versions v ON v.id = o.template_version_id
            WHERE o.id = NEW.taken_from)], NEW.approved_at);
    RETURN NULL;
END $$;

-- What is offered was approved, is of the police or the county, and is no copy; whoever offers it is
-- not who wrote it.
CREATE FUNCTION text_offers_another_person() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    author uuid;
BEGIN
    SELECT v.edited_by INTO author
    FROM template_versions v JOIN templates t ON t.id = v.template_id
    JOIN departments d ON d.id = t.department_id
    WHERE v.id = NEW.template_version_id AND v.approved_by IS NOT NULL AND v.taken_from IS NULL
      AND d.kind IN ('police', 'county');
    IF author IS NULL THEN
        RAISE EXCEPTION 'only an approved text of the police or the county is offered' USING
            ERRCODE = 'check_violation', CONSTRAINT = 'offered_texts_are_approved';
    END IF;
    PERFORM need_another_person('text_offers_another_person',
        ARRAY[NEW.offered_by, NEW.offered_for], ARRAY[author], NEW.offered_at);
    RETURN NULL;
END $$;
CREATE TRIGGER text_offers_another_person AFTER INSERT ON text_offers
    FOR EACH ROW EXECUTE FUNCTION text_offers_another_person();

CREATE FUNCTION offers_stay() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    may text[] := ARRAY['stops', 'withdrawn_by', 'withdrawn_at', 'withdrawn_why'];
BEGIN
    IF OLD.withdrawn_at IS NOT NULL THEN
        may := ARRAY['stops'];
    END IF;
    IF OLD.stops AND NOT NEW.stops OR to_jsonb(NEW) - may <> to_jsonb(OLD) - may THEN
        RAISE EXCEPTION 'an offer never changes, and is withdrawn for good'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'offers_stay';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER offers_stay BEFORE UPDATE ON text_offers FOR EACH ROW EXECUTE FUNCTION offers_stay();

-- No run begins with withdrawn words, whoever makes it. The lock makes one of two wait that happen
-- at the same instant: a withdrawal sees the run, or the run the withdrawal. It fails as a
-- collision, so that whoever made it looks again and says why. A run of a campaign gets the version
-- that it sends.
CREATE FUNCTION withdrawn_words_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.template_version_id IS NULL THEN
        NEW.template_version_id := CASE WHEN NEW.text_no = 1
            THEN (SELECT template_version_id FROM campaigns WHERE id = NEW.campaign_id)
            ELSE (SELECT template_version_id FROM campaign_texts
                  WHERE campaign_id = NEW.campaign_id AND no = NEW.text_no) END;
    END IF;
    PERFORM FROM text_offers o WHERE o.template_version_id = NEW.template_version_id OR o.id = (
        SELECT taken_from FROM template_versions WHERE id = NEW.template_version_id)
    ORDER BY o.id FOR SHARE;
    IF withdrawn_offer_of(NEW.template_version_id) IS NOT NULL THEN
        RAISE EXCEPTION 'its words are withdrawn'
            USING ERRCODE = 'serialization_failure', CONSTRAINT = 'withdrawn_words_stay';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER withdrawn_words_stay BEFORE INSERT ON runs FOR EACH ROW
    WHEN (NEW.template_version_id IS NOT NULL OR NEW.campaign_id IS NOT NULL)
    EXECUTE FUNCTION withdrawn_words_stay();

-- As in 0011: these decide on second persons.
DO $$
DECLARE
    f regprocedure;
BEGIN
    FOREACH f IN ARRAY ARRAY['template_versions_another_person()'::regprocedure,
                             'text_offers_another_person()'::regprocedure]
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', f, current_schema());
    END LOOP;
END $$;

-- ------------------------------------------------------------------------------ what is told of it

-- text.revised, text.corrected and text.withdrawn concern a template that is a copy, and the plans
-- that hold it.
ALTER TABLE interruptions ADD COLUMN template_id uuid;
ALTER TABLE interruptions ADD COLUMN offer_id uuid;

CREATE FUNCTION note_offer() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO interruptions
            (kind, by_person, department_id, campaign_id, template_id, offer_id, at)
        SELECT CASE WHEN NEW.correction THEN 'text.corrected' ELSE 'text.revised' END, true,
               u.department_id, u.campaign_id, u.template_id, NEW.id, NEW.offered_at
        FROM users_of_copies(ARRAY(
            SELECT o.id FROM template_versions v
            JOIN template_versions w ON w.template_id = v.template_id AND w.id <> v.id
            JOIN text_offers o ON o.template_version_id = w.id
            WHERE v.id = NEW.template_version_id)) u;
    ELSE
        INSERT INTO interruptions
            (kind, by_person, department_id, campaign_id, template_id, offer_id, at)
        SELECT 'text.withdrawn', true, u.department_id, u.campaign_id, u.template_id, NEW.id,
               NEW.withdrawn_at
        FROM users_of_copies(ARRAY[NEW.id]) u;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER note_offer AFTER INSERT ON text_offers FOR EACH ROW
    WHEN (NEW.replaces IS NOT NULL) EXECUTE FUNCTION note_offer();
CREATE TRIGGER note_withdrawal AFTER UPDATE OF withdrawn_at ON text_offers FOR EACH ROW
    WHEN (NEW.withdrawn_at IS NOT NULL AND OLD.withdrawn_at IS NULL)
    EXECUTE FUNCTION note_offer();

CREATE OR REPLACE FUNCTION tell_of_interruption() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM write_event(
        d.id, NEW.kind, NULL,
        jsonb_strip_nulls(jsonb_build_object(
            'code', NEW.code, 'by', CASE WHEN NEW.by_person THEN 'person' ELSE 'clock' END,
            'campaign_id', NEW.campaign_id, 'planned_at', NEW.planned_at,
            'others', NEW.others, 'people', NEW.people,
            'channel_id', NEW.channel_id, 'stop_id', NEW.stop_id,
            'template_id', NEW.template_id, 'offer_id', NEW.offer_id)),
        NEW.at)
    FROM departments d
    WHERE (NEW.department_id IS NULL OR d.id = NEW.department_id)
      AND (NEW.channel_id IS NULL OR d.channels IS NULL OR NEW.channel_id = ANY (d.channels))
      AND is_told(d.id, NEW.kind);
    RETURN NULL;
END $$;

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
        'text.revised', 'text.corrected', 'text.withdrawn']) NOT VALID;
