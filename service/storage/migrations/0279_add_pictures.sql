-- Pictures that belong to reports of duties: made anew from pixels, encrypted, in three sizes.
SET LOCAL lock_timeout = '5s';

-- duty_id: the duty that it is meant for; NULL: of none yet. reported_at: when it was handed in with
-- a report of it, for the first time; NULL: not yet.
CREATE TABLE pictures (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    department_id uuid NOT NULL REFERENCES departments,
    duty_id uuid REFERENCES duties (id),
    uploaded_by uuid NOT NULL REFERENCES users,
    uploaded_at timestamptz NOT NULL,
    reported_at timestamptz,
    -- Of the largest.
    width integer NOT NULL CHECK (width BETWEEN 1 AND 1600),
    height integer NOT NULL CHECK (height BETWEEN 1 AND 1600),
    octets integer NOT NULL CHECK (octets > 0),
    sha256 bytea NOT NULL CHECK (octet_length(sha256) = 32),
    -- The keyed hash of the file as it came, and 64 bits of what its pixels look like.
    content_hash bytea NOT NULL CHECK (octet_length(content_hash) = 16),
    difference_hash bigint NOT NULL,
    -- Seven parts of the difference hash, as numbers: two hashes that differ in six bits have one in
    -- common. NULL: older than what is compared.
    hash_parts integer[],
    -- Whether the file says a day of the period that it was meant for; NULL: it says none.
    taken_in_week boolean,
    -- The longer side is at most 1,600, 800 and 320 pixels; the first two go after a year.
    large_cipher bytea,
    medium_cipher bytea,
    small_cipher bytea NOT NULL,
    masked_at timestamptz,
    masked_by uuid REFERENCES users,
    CONSTRAINT pictures_reported CHECK (reported_at IS NULL OR duty_id IS NOT NULL),
    CONSTRAINT pictures_sizes CHECK ((large_cipher IS NULL) = (medium_cipher IS NULL)),
    CONSTRAINT pictures_masked CHECK ((masked_at IS NULL) = (masked_by IS NULL))
);
-- Ciphers do not get smaller by packing.
ALTER TABLE pictures ALTER COLUMN large_cipher SET STORAGE EXTERNAL,
    ALTER COLUMN medium_cipher SET STORAGE EXTERNAL, ALTER COLUMN small_cipher SET STORAGE EXTERNAL;
CREATE INDEX pictures_like ON pictures USING gin (hash_parts) WITH (fastupdate = off);
CREATE INDEX pictures_content ON pictures (content_hash);
CREATE INDEX pictures_duty ON pictures (duty_id, id) WHERE duty_id IS NOT NULL;
CREATE INDEX pictures_waiting ON pictures (department_id, id) WHERE reported_at IS NULL;
CREATE INDEX pictures_left ON pictures (uploaded_at) WHERE reported_at IS NULL;
CREATE INDEX pictures_old ON pictures (uploaded_at) WHERE large_cipher IS NOT NULL;
CREATE INDEX pictures_uploaded_by ON pictures (uploaded_by);

-- The pictures of what was handed in, each time; rows are only added. sha256: of the picture as it
-- was then; a mask that was put on since makes another one.
CREATE TABLE duty_report_pictures (
    duty_id uuid NOT NULL,
    no smallint NOT NULL,
    place smallint NOT NULL CHECK (place > 0),
    picture_id uuid NOT NULL REFERENCES pictures,
    sha256 bytea NOT NULL CHECK (octet_length(sha256) = 32),
    PRIMARY KEY (duty_id, no, place),
    UNIQUE (picture_id, duty_id, no),
    FOREIGN KEY (duty_id, no) REFERENCES duty_reports
);
CREATE TRIGGER duty_report_pictures_stay BEFORE UPDATE OR DELETE ON duty_report_pictures
    FOR EACH ROW EXECUTE FUNCTION duty_reports_stay();

-- A picture that was handed in is of that duty for good.
CREATE FUNCTION pictures_of_one_duty() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR (NEW.duty_id, NEW.reported_at) IS DISTINCT FROM
                           (OLD.duty_id, OLD.reported_at) THEN
        RAISE EXCEPTION 'a picture that was handed in stays with its report'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'pictures_of_one_duty';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER pictures_of_one_duty BEFORE UPDATE OR DELETE ON pictures
    FOR EACH ROW WHEN (OLD.reported_at IS NOT NULL) EXECUTE FUNCTION pictures_of_one_duty();
