-- Carriers take a text only once it has been filed with them. Each line says how one version stands
-- with one channel; the last one holds, and nothing is changed.
CREATE TABLE filings (
    no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    version_id uuid NOT NULL REFERENCES template_versions,
    channel_id smallint NOT NULL REFERENCES channels ON DELETE CASCADE,
    state text NOT NULL CHECK (state IN ('submitted', 'filed', 'refused', 'withdrawn')),
    -- The carrier's number of it.
    reference text NOT NULL,
    -- The numbers and links that the filing names; a text may have no others there.
    contacts text[] NOT NULL,
    links text[] NOT NULL,
    note text NOT NULL,
    changed_by uuid REFERENCES users,
    changed_at timestamptz NOT NULL
);
CREATE INDEX filings_version ON filings (version_id, channel_id, no DESC);

-- Whether texts must be filed with a channel; NULL: if it is a real one.
ALTER TABLE channels ADD COLUMN requires_filing boolean;
