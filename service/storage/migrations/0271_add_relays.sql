-- Relays: a text that goes down a tree of persons, level by level, each of whom acknowledges it.
SET LOCAL lock_timeout = '5s';

CREATE TABLE relays (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    department_id uuid NOT NULL REFERENCES departments,
    template_version_id uuid NOT NULL REFERENCES template_versions,
    week text NOT NULL CHECK (week ~ '^[0-9]{4}-W[0-9]{2}$'),
    -- The area to whose people and groups it goes; NULL: to all of the department's.
    area_code text REFERENCES areas,
    -- Roles from the top down; the last level are the owners of groups.
    levels text[] NOT NULL CHECK (levels <> '{}' AND levels[cardinality(levels)] = 'group_owner'),
    due_at timestamptz NOT NULL,
    state text NOT NULL DEFAULT 'going' CHECK (state IN ('going', 'over', 'cancelled')),
    -- Active groups when the tree was frozen.
    groups integer NOT NULL CHECK (groups > 0),
    started_by uuid NOT NULL REFERENCES users,
    started_at timestamptz NOT NULL,
    -- Since when everybody of the first level who could be reached has passed it on.
    level_one_at timestamptz,
    ended_at timestamptz,
    ended_why text NOT NULL DEFAULT '',
    -- Why its text cannot be sent now, as a code.
    held_why text NOT NULL DEFAULT '',
    -- When the scheduler looks at it next; NULL: never again.
    look_at timestamptz,
    CONSTRAINT relays_ended CHECK ((state = 'going') = (ended_at IS NULL)),
    CONSTRAINT relays_due CHECK (due_at > started_at)
);
CREATE UNIQUE INDEX relays_once
    ON relays (department_id, week, template_version_id, area_code) NULLS NOT DISTINCT
    WHERE state <> 'cancelled';
CREATE INDEX relays_look ON relays (look_at) WHERE look_at IS NOT NULL;
CREATE INDEX relays_department ON relays (department_id, id);
CREATE INDEX relays_week ON relays (week, department_id);
CREATE INDEX relays_version ON relays (template_version_id);

-- The tree as it was frozen. No foreign key to contacts: who is erased leaves an id that says nothing.
CREATE TABLE relay_nodes (
    relay_id uuid NOT NULL REFERENCES relays,
    no integer NOT NULL CHECK (no > 0),
    level smallint NOT NULL CHECK (level > 0),
    -- Whose it is to pass it on to this one; NULL: it comes from the station itself.
    parent_no integer,
    group_id uuid REFERENCES groups,
    area_code text NOT NULL DEFAULT '',
    contact_id uuid NOT NULL,
    state text NOT NULL DEFAULT 'waiting' CHECK (
        state IN ('waiting', 'sent', 'done', 'unreachable', 'silent')),
    -- Why it could not be reached, as a code.
    why text NOT NULL DEFAULT '',
    -- It got its text although the one above had not passed it on.
    passed_over boolean NOT NULL DEFAULT false,
    run_id uuid REFERENCES runs,
    message_no integer,
    sent_at timestamptz,
    -- When it was answered with 2, and by which text it was asked once more.
    not_yet_at timestamptz,
    again_run_id uuid REFERENCES runs,
    again_no integer,
    again_at timestamptz,
    done_at timestamptz,
    via text CHECK (via IN ('sms', 'page', 'parent')),
    done_by uuid REFERENCES users,
    PRIMARY KEY (relay_id, no),
    FOREIGN KEY (relay_id, parent_no) REFERENCES relay_nodes,
    CONSTRAINT relay_nodes_below CHECK (parent_no < no),
    CONSTRAINT relay_nodes_sent CHECK (
        num_nonnulls(run_id, message_no) IN (0, 2) AND (run_id IS NULL OR sent_at IS NOT NULL)),
    CONSTRAINT relay_nodes_again CHECK (num_nonnulls(again_run_id, again_no) IN (0, 2)),
    CONSTRAINT relay_nodes_done CHECK (
        (state = 'done') = (done_at IS NOT NULL) AND (state = 'done') = (via IS NOT NULL)),
    CONSTRAINT relay_nodes_via CHECK (via = 'sms' OR via IS NULL OR done_by IS NOT NULL)
);
CREATE INDEX relay_nodes_parent ON relay_nodes (relay_id, parent_no);
CREATE INDEX relay_nodes_group ON relay_nodes (group_id) WHERE group_id IS NOT NULL;
CREATE INDEX relay_nodes_open ON relay_nodes (relay_id, state) WHERE state IN ('waiting', 'sent');
CREATE INDEX relay_nodes_run ON relay_nodes (run_id, message_no) WHERE run_id IS NOT NULL;
CREATE INDEX relay_nodes_again_run ON relay_nodes (again_run_id, again_no)
    WHERE again_run_id IS NOT NULL;

-- The runs of a relay, to find the answers to them.
CREATE TABLE relay_runs (
    relay_id uuid NOT NULL REFERENCES relays,
    run_id uuid NOT NULL REFERENCES runs,
    level smallint NOT NULL,
    again boolean NOT NULL,
    PRIMARY KEY (relay_id, run_id)
);
CREATE UNIQUE INDEX relay_runs_run ON relay_runs (run_id);
