-- What is said: segments (saved audience rules) and templates with their versions.

CREATE TABLE segments (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    department_id uuid NOT NULL REFERENCES departments,
    name text NOT NULL,
    rule text NOT NULL,
    edited_by uuid NOT NULL REFERENCES users,
    created_at timestamptz NOT NULL,
    edited_at timestamptz NOT NULL,
    UNIQUE (department_id, name)
);

CREATE TABLE templates (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    department_id uuid NOT NULL REFERENCES departments,
    name text NOT NULL,
    class text NOT NULL CHECK (class IN ('public_interest', 'service', 'warning')),
    topic text NOT NULL DEFAULT '',
    language text NOT NULL DEFAULT 'zh',
    created_at timestamptz NOT NULL,
    UNIQUE (department_id, name)
);

-- A version never changes; an edit is a new one.
CREATE TABLE template_versions (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    template_id uuid NOT NULL REFERENCES templates,
    no integer NOT NULL,
    text text NOT NULL,
    lint jsonb NOT NULL,
    edited_by uuid NOT NULL REFERENCES users,
    created_at timestamptz NOT NULL,
    UNIQUE (template_id, no)
);
