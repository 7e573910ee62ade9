-- Robots of work groups also tell of duties and relays of units: of a step of a duty, or of the beginning of
-- a relay, each robot once.

-- A wider check takes its place in the same transaction; robots are some dozens.
-- squawk-ignore ban-drop-constraint
ALTER TABLE group_robots DROP CONSTRAINT group_robots_kinds_check;
-- squawk-ignore constraint-missing-not-valid
ALTER TABLE group_robots ADD CONSTRAINT group_robots_kinds_check CHECK (kinds <@ ARRAY[
    'approval', 'returned', 'paused', 'leg', 'reminder', 'late', 'late_list', 'relay']);

-- Apart from robot_notices, which are of campaigns. due_at: when the step was taken, or the relay begun.
-- settled_at without post_id: nothing was posted, for it was over before.
CREATE TABLE robot_unit_notices (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    robot_id uuid NOT NULL REFERENCES group_robots,
    kind text NOT NULL CHECK (kind IN ('reminder', 'late', 'late_list', 'relay')),
    duty_id uuid,
    step text,
    relay_id uuid REFERENCES relays,
    due_at timestamptz NOT NULL,
    post_id uuid REFERENCES robot_posts,
    settled_at timestamptz,
    FOREIGN KEY (duty_id, step) REFERENCES duty_steps,
    CONSTRAINT robot_unit_notices_of_one_fact CHECK (
        (kind = 'relay') = (relay_id IS NOT NULL)
        AND num_nonnulls(duty_id, step) = CASE WHEN relay_id IS NULL THEN 2 ELSE 0 END),
    CONSTRAINT robot_unit_notices_posted CHECK (post_id IS NULL OR settled_at IS NOT NULL),
    UNIQUE (duty_id, step, robot_id),
    UNIQUE (relay_id, robot_id)
);
CREATE INDEX robot_unit_notices_open ON robot_unit_notices (robot_id, due_at) WHERE settled_at IS NULL;
CREATE INDEX robot_unit_notices_post ON robot_unit_notices (post_id) WHERE post_id IS NOT NULL;
CREATE INDEX robot_unit_notices_left ON robot_unit_notices (settled_at)
    WHERE settled_at IS NOT NULL AND post_id IS NULL;
