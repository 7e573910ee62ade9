-- Seeing a number in full, looking a person up, and erasing one.

-- Who saw whose data in full, or looked a person up, and why. The audit trail has the ids of these.
CREATE TABLE disclosures (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    kind text NOT NULL CHECK (kind IN ('contact', 'message', 'inbound', 'lookup')),
    object_id text,
    phone_hash bytea NOT NULL CHECK (octet_length(phone_hash) = 16),
    department_id uuid NOT NULL,        -- that of whoever asked
    user_id uuid NOT NULL,
    reason_cipher bytea NOT NULL,
    at timestamptz NOT NULL,
    CHECK ((kind = 'lookup') = (object_id IS NULL))
);
CREATE INDEX disclosures_phone ON disclosures (phone_hash);
CREATE INDEX disclosures_at ON disclosures (at);

-- Persons who were erased, as keyed hashes; NULL: in all departments. A run that is older than an
-- erasure sends nothing to that number any more, and its texts are locked from being unmasked; a
-- file that is older does not bring the person back. What comes later is a person anew.
CREATE TABLE erasures (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    phone_hash bytea NOT NULL CHECK (octet_length(phone_hash) = 16),
    department_id uuid,
    erased_by uuid NOT NULL,
    erased_at timestamptz NOT NULL,
    reason_cipher bytea NOT NULL,
    counts jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX erasures_phone ON erasures (phone_hash);
CREATE INDEX erasures_at ON erasures (erased_at);

-- What is not kept any more is NULL; the keyed hash and the counts stay.
ALTER TABLE messages ALTER COLUMN phone_cipher DROP NOT NULL;
