-- What a carrier handed on and nobody could read, with its octets: they may hold a phone number and
-- a text, so they are encrypted, and their keyed hash tells one that comes again after each login.

ALTER TABLE receipts_unmatched
    ADD COLUMN octets_cipher bytea,
    ADD COLUMN octets_count integer,
    ADD COLUMN octets_hash bytea,
    ADD COLUMN copies integer NOT NULL DEFAULT 1,
    DROP CONSTRAINT receipts_unmatched_why_check,
    ADD CONSTRAINT receipts_unmatched_why_check
        CHECK (why IN ('parked', 'unmatched', 'ambiguous', 'conflict', 'unreadable')),
    ADD CONSTRAINT receipts_unmatched_octets_check
        CHECK ((why = 'unreadable') = (octets_cipher IS NOT NULL)
               AND num_nulls(octets_cipher, octets_count, octets_hash) IN (0, 3));
CREATE UNIQUE INDEX receipts_unmatched_unreadable ON receipts_unmatched (channel_id, octets_hash)
    WHERE why = 'unreadable';

ALTER TABLE receipts_dismissed
    ADD COLUMN octets_cipher bytea,
    ADD COLUMN octets_count integer,
    ADD COLUMN copies integer NOT NULL DEFAULT 1,
    DROP CONSTRAINT receipts_dismissed_why_check,
    ADD CONSTRAINT receipts_dismissed_why_check
        CHECK (why IN ('unmatched', 'ambiguous', 'conflict', 'unreadable'));

-- Who saw the octets in full: they are of no known number.
ALTER TABLE disclosures
    ALTER COLUMN phone_hash DROP NOT NULL,
    DROP CONSTRAINT disclosures_kind_check,
    ADD CONSTRAINT disclosures_kind_check
        CHECK (kind IN ('contact', 'message', 'inbound', 'lookup', 'receipt')),
    ADD CONSTRAINT disclosures_phone_check CHECK ((kind = 'receipt') = (phone_hash IS NULL));
