-- Direct sends of departments: a text to people who are named, each perhaps with values of their own.

ALTER TABLE runs
    DROP CONSTRAINT runs_kind_check,
    ADD CONSTRAINT runs_kind_check CHECK (kind IN ('campaign', 'reply', 'direct')),
    ADD COLUMN sent_by uuid REFERENCES users,
    ADD COLUMN template_version_id uuid REFERENCES template_versions,
    ADD CONSTRAINT somebody_sent_it CHECK ((kind = 'direct') = (sent_by IS NOT NULL));

-- The values of the variables of one recipient, as JSON under the data key; NULL: the contact's facts.
ALTER TABLE messages ADD COLUMN variables_cipher bytea;

-- How many people a sender's direct runs named, for the limit of 24 hours (design §6). The sender is a
-- key, or a user without one.
CREATE TABLE direct_sends (
    run_id uuid PRIMARY KEY REFERENCES runs,
    sender_id uuid NOT NULL,
    recipients integer NOT NULL CHECK (recipients > 0),
    at timestamptz NOT NULL
);
CREATE INDEX direct_sends_sender ON direct_sends (sender_id, at);
