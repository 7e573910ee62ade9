-- Who must take a leg of a joint plan is told by a notice, and who planned it where one is returned.
-- A notice is then of a move of a leg, in place of one of a campaign; what else holds of it is the same.
SET LOCAL lock_timeout = '5s';

-- The constraints after these allow all that they allowed, and more.
-- squawk-ignore ban-drop-constraint
ALTER TABLE notice_choices DROP CONSTRAINT notice_choices_kinds_check;
ALTER TABLE notice_choices ADD CONSTRAINT notice_choices_kinds_check CHECK (
    kinds <@ ARRAY['approval', 'returned', 'paused', 'leg']) NOT VALID;
-- squawk-ignore ban-drop-constraint
ALTER TABLE notices DROP CONSTRAINT notices_kind_check;
ALTER TABLE notices ADD CONSTRAINT notices_kind_check CHECK (
    kind IN ('approval', 'returned', 'paused', 'leg')) NOT VALID;
-- The program before joins the moves of campaigns, so it leaves notices of legs to this one.
-- squawk-ignore ban-drop-not-null
ALTER TABLE notices ALTER COLUMN move_id DROP NOT NULL;
ALTER TABLE notices ADD COLUMN leg_move_id bigint;
ALTER TABLE notices ADD CONSTRAINT notices_leg_move_id_fkey
    FOREIGN KEY (leg_move_id) REFERENCES campaign_leg_moves NOT VALID;
ALTER TABLE notices ADD CONSTRAINT notices_of_one_move CHECK (
    num_nonnulls(move_id, leg_move_id) = 1) NOT VALID;
-- Notices are kept for a month: there are few.
-- squawk-ignore require-concurrent-index-creation
CREATE UNIQUE INDEX told_of_a_leg_once ON notices (leg_move_id, user_id);

-- The moves of legs of which nobody was told yet, as `notice_causes` has those of campaigns.
CREATE TABLE notice_leg_causes (
    move_id bigint PRIMARY KEY REFERENCES campaign_leg_moves,
    kind text NOT NULL
);

CREATE FUNCTION note_leg_cause() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    found text := CASE NEW.to_state WHEN 'asked' THEN 'leg' WHEN 'returned' THEN 'returned' END;
BEGIN
    IF EXISTS (SELECT FROM notice_choices WHERE found = ANY (kinds)) THEN
        INSERT INTO notice_leg_causes (move_id, kind) VALUES (NEW.id, found);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER note_cause AFTER INSERT ON campaign_leg_moves FOR EACH ROW
    EXECUTE FUNCTION note_leg_cause();
