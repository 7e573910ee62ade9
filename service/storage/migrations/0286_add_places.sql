-- Places where the words of texts are put up, and what stood there when.
SET LOCAL lock_timeout = '5s';

-- kind: that of the wordings that it takes. department_id: whose place it is.
CREATE TABLE places (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    department_id uuid NOT NULL REFERENCES departments,
    kind text NOT NULL CHECK (kind IN ('led', 'loudspeaker', 'poster', 'counter', 'atm')),
    name text NOT NULL CHECK (name <> ''),
    area_code text NOT NULL REFERENCES areas,
    added_by uuid NOT NULL REFERENCES users,
    added_at timestamptz NOT NULL,
    from_on date NOT NULL,
    -- The last day on which it was one; NULL: it still is.
    until_on date,
    CONSTRAINT places_days CHECK (until_on IS NULL OR until_on >= from_on),
    CONSTRAINT places_once UNIQUE (department_id, kind, area_code, name)
);
CREATE INDEX places_area ON places (area_code);

-- What was put up, as somebody ticked; rows are only added. It stands until the next one.
CREATE TABLE place_wordings (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    place_id uuid NOT NULL REFERENCES places,
    -- NULL: what stood there was taken down.
    wording_id uuid REFERENCES wordings,
    on_day date NOT NULL,
    ticked_by uuid NOT NULL REFERENCES users,
    ticked_at timestamptz NOT NULL
);
CREATE INDEX place_wordings_place ON place_wordings (place_id, on_day, id);
