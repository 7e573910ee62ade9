-- What kind of key made a segment: one of a test or trial key gives way to a live one of its name.
ALTER TABLE segments ADD COLUMN key_mode text NOT NULL DEFAULT 'live'
    CHECK (key_mode IN ('live', 'trial', 'test'));
