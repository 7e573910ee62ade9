-- Robots of work groups (WeCom, DingTalk): a department's notices are posted to its group beside the
-- texts and mails to persons. A group is no person: nothing of it is in a ledger or in coverage.
SET LOCAL lock_timeout = '5s';

-- address_cipher: the whole address, for the key is in it. rest_until: until when it is posted nothing.
CREATE TABLE group_robots (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    department_id uuid NOT NULL REFERENCES departments,
    kind text NOT NULL CHECK (kind IN ('wecom', 'dingtalk')),
    name text NOT NULL CHECK (name <> ''),
    address_cipher bytea,
    secret_cipher bytea,
    language text NOT NULL CHECK (language IN ('zh', 'en')),
    kinds text[] NOT NULL CHECK (kinds <@ ARRAY['approval', 'returned', 'paused', 'leg']),
    made_by uuid NOT NULL REFERENCES users,
    made_at timestamptz NOT NULL,
    rest_until timestamptz,
    ended_at timestamptz,
    ended_by uuid REFERENCES users,
    CONSTRAINT group_robots_end CHECK ((ended_at IS NULL) = (ended_by IS NULL)),
    CONSTRAINT group_robots_forgotten CHECK ((ended_at IS NULL) = (address_cipher IS NOT NULL))
);
CREATE INDEX group_robots_department ON group_robots (department_id, id) WHERE ended_at IS NULL;

-- One message to a group, of one or several notices, or a test. The states are those of a mail.
CREATE TABLE robot_posts (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    robot_id uuid NOT NULL REFERENCES group_robots,
    is_test boolean NOT NULL,
    state text NOT NULL DEFAULT 'waiting' CHECK (
        state IN ('waiting', 'leaving', 'sent', 'uncertain', 'given_up')),
    made_at timestamptz NOT NULL,
    next_at timestamptz NOT NULL,
    attempts smallint NOT NULL DEFAULT 0,
    left_at timestamptz,
    error text NOT NULL DEFAULT '',
    ended_at timestamptz,
    CHECK ((ended_at IS NULL) = (state IN ('waiting', 'leaving')))
);
CREATE INDEX robot_posts_open ON robot_posts (next_at) WHERE state IN ('waiting', 'leaving');
CREATE INDEX robot_posts_robot ON robot_posts (robot_id, id);
CREATE INDEX robot_posts_ended ON robot_posts (ended_at) WHERE ended_at IS NOT NULL;

-- A group is told of a move once.
CREATE TABLE robot_notices (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    robot_id uuid NOT NULL REFERENCES group_robots,
    move_id bigint REFERENCES campaign_moves,
    leg_move_id bigint REFERENCES campaign_leg_moves,
    campaign_id uuid NOT NULL REFERENCES campaigns,
    kind text NOT NULL CHECK (kind IN ('approval', 'returned', 'paused', 'leg')),
    due_at timestamptz NOT NULL,
    post_id uuid REFERENCES robot_posts,
    settled_at timestamptz,
    CONSTRAINT robot_notices_of_one_move CHECK (num_nonnulls(move_id, leg_move_id) = 1),
    UNIQUE (move_id, robot_id),
    UNIQUE (leg_move_id, robot_id)
);
CREATE INDEX robot_notices_open ON robot_notices (robot_id, due_at) WHERE settled_at IS NULL;
CREATE INDEX robot_notices_post ON robot_notices (post_id) WHERE post_id IS NOT NULL;

-- As before, and also where no person asked to be told, but a group.
CREATE OR REPLACE FUNCTION note_cause() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    found text := CASE
        WHEN NEW.to_state = 'pending_approval' AND NEW.from_state <> 'pending_approval'
            THEN 'approval'
        WHEN NEW.to_state IN ('returned', 'rejected') THEN 'returned'
        WHEN NEW.to_state = 'paused' AND NEW.code = 'guard' THEN 'paused' END;
BEGIN
    IF EXISTS (SELECT FROM notice_choices WHERE found = ANY (kinds))
       OR EXISTS (SELECT FROM group_robots WHERE found = ANY (kinds) AND ended_at IS NULL) THEN
        INSERT INTO notice_causes (move_id, kind) VALUES (NEW.id, found);
    END IF;
    RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION note_leg_cause() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    found text := CASE NEW.to_state WHEN 'asked' THEN 'leg' WHEN 'returned' THEN 'returned' END;
BEGIN
    IF EXISTS (SELECT FROM notice_choices WHERE found = ANY (kinds))
       OR EXISTS (SELECT FROM group_robots WHERE found = ANY (kinds) AND ended_at IS NULL) THEN
        INSERT INTO notice_leg_causes (move_id, kind) VALUES (NEW.id, found);
    END IF;
    RETURN NULL;
END $$;
