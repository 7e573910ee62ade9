-- Receipts whose ids are written in another form than the channel's setting says.

-- How many receipts of a channel in a row met no text, up to the last one that was folded.
CREATE TABLE receipt_misses (
    channel_id smallint PRIMARY KEY REFERENCES channels ON DELETE CASCADE,
    in_a_row integer NOT NULL DEFAULT 0 CHECK (in_a_row >= 0),
    since timestamptz NOT NULL
) WITH (fillfactor = 50);

-- The last change of the setting for the form of ids. `formers`: the forms of before, within 72 h;
-- what waits is read anew by `form` and by them. `upto`: the last parked receipt that was looked at
-- for good; `looked_at`: when it was last looked.
CREATE TABLE id_form_changes (
    channel_id smallint PRIMARY KEY REFERENCES channels ON DELETE CASCADE,
    form text NOT NULL,
    formers text[] NOT NULL,
    changed_at timestamptz NOT NULL,
    upto bigint NOT NULL DEFAULT 0,
    looked_at timestamptz
) WITH (fillfactor = 50);
