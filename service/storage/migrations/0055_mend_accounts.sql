-- Keys that renew others wait for a second person; kept answers are told apart by key; a password
-- that somebody else gives waits for a second person.

-- Of a key that renews another and waits: how long the old token works once this one does.
ALTER TABLE keys ADD COLUMN overlap interval;

-- caller_id: the first key of the grant, or the user who has logged in; NULL: from before answers
-- were told apart by key. Those are not given out any more: that the act was done is all they say.
-- body NULL: the answer was for once.
ALTER TABLE idempotency
    DROP CONSTRAINT idempotency_pkey,
    ADD COLUMN caller_id uuid;
UPDATE idempotency SET body = NULL;
CREATE UNIQUE INDEX idempotency_caller ON idempotency (caller_id, key);
CREATE INDEX idempotency_before ON idempotency (user_id, key) WHERE caller_id IS NULL;
CREATE INDEX idempotency_created ON idempotency (created_at);

ALTER TABLE users
    -- A password that somebody else has given and that does not count yet.
    ADD COLUMN given_hash text,
    -- Who gave the last one, when, and who let it count.
    ADD COLUMN given_by uuid REFERENCES users,
    ADD COLUMN given_at timestamptz,
    ADD COLUMN given_confirmed_by uuid REFERENCES users,
    ADD CONSTRAINT users_given_by_two CHECK (
        given_confirmed_by IS NULL OR given_by IS NOT NULL AND given_confirmed_by <> given_by);

CREATE INDEX sessions_expires ON sessions (expires_at);
CREATE INDEX recovery_codes_used ON recovery_codes (used_at) WHERE used_at IS NOT NULL;
