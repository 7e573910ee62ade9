-- Whole pictures of packs, each once, whichever versions have it: their files name it by its hash.
SET LOCAL lock_timeout = '5s';

CREATE TABLE pack_pictures (
    sha256 bytea PRIMARY KEY CHECK (octet_length(sha256) = 32),
    cipher bytea NOT NULL
);
-- Ciphers do not get smaller by packing.
ALTER TABLE pack_pictures ALTER COLUMN cipher SET STORAGE EXTERNAL;
CREATE TRIGGER pack_pictures_stay BEFORE UPDATE OR DELETE ON pack_pictures
    FOR EACH ROW EXECUTE FUNCTION packs_stay();

-- Whether its octets are in `pack_pictures`, and not in pieces of its own.
ALTER TABLE pack_files ADD COLUMN is_picture boolean NOT NULL DEFAULT false;
