-- The address of a notice mail is proved by a code that is sent there, as a phone is. Addresses that
-- are there already are not proved: until they are, no notice goes to them.
SET LOCAL lock_timeout = '5s';

ALTER TABLE notice_choices ADD COLUMN mail_proved_at timestamptz;

-- The code of a mail that proves an address, encrypted; null: the mail is of notices.
ALTER TABLE notice_mails ADD COLUMN code_cipher bytea;

-- The codes of the last day that prove an address; the newest of a user counts.
CREATE TABLE mail_codes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    address_hash bytea NOT NULL,
    code_hash bytea NOT NULL,
    sent_at timestamptz NOT NULL,
    tries integer NOT NULL DEFAULT 0
);
CREATE INDEX mail_codes_user ON mail_codes (user_id, id);
CREATE INDEX mail_codes_address ON mail_codes (address_hash, sent_at);
CREATE INDEX mail_codes_sent ON mail_codes (sent_at);
