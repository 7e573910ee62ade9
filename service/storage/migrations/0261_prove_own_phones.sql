-- A test goes to a phone that its owner has proved by a code. phone_cipher: the phone that a user said
-- is theirs. phone_proved_at: since when it is proved; phone_changed_at: when they last proved one, also
-- if it was taken away since. Phones that were said before must be proved.
ALTER TABLE users ADD COLUMN phone_proved_at timestamptz, ADD COLUMN phone_changed_at timestamptz,
    ADD CHECK (phone_proved_at IS NULL OR phone_cipher IS NOT NULL);

-- The codes of the last day, as keyed hashes; the newest of a user counts.
CREATE TABLE phone_codes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users,
    phone_hash bytea NOT NULL,
    code_hash bytea NOT NULL,
    tries integer NOT NULL DEFAULT 0,
    sent_at timestamptz NOT NULL
);
CREATE INDEX phone_codes_user ON phone_codes (user_id, id);
CREATE INDEX phone_codes_phone ON phone_codes (phone_hash, sent_at);
CREATE INDEX phone_codes_sent ON phone_codes (sent_at);
