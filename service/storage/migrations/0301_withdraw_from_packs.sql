-- A mask that is put on a picture later reaches packs that were built before, and pictures of packs
-- have a term.
SET LOCAL lock_timeout = '5s';

-- Files of packs whose octets went, and why; the manifest has their hashes for good. masked: a mask
-- was put on the picture since; term: it was kept for as long as pictures are.
CREATE TABLE pack_withdrawals (
    week text NOT NULL,
    version integer NOT NULL,
    file_no integer NOT NULL,
    why text NOT NULL CHECK (why IN ('masked', 'term')),
    at timestamptz NOT NULL,
    PRIMARY KEY (week, version, file_no),
    FOREIGN KEY (week, version, file_no) REFERENCES pack_files
);
CREATE TRIGGER pack_withdrawals_stay BEFORE UPDATE OR DELETE ON pack_withdrawals
    FOR EACH ROW EXECUTE FUNCTION packs_stay();

-- squawk-ignore require-concurrent-index-creation
CREATE INDEX pack_files_pictures ON pack_files (sha256) WHERE is_picture;
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX packs_by_age ON packs (built_at) WHERE state = 'built';

-- What is withdrawn goes at once, in the same transaction; a picture that another file still has
-- stays for it. Whoever builds a pack has the lock shared while it keeps pictures.
CREATE FUNCTION withdraw_octets() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('pack pictures', 0));
    DELETE FROM pack_pieces p
    WHERE (p.week, p.version, p.file_no) = (NEW.week, NEW.version, NEW.file_no);
    DELETE FROM pack_pictures k USING pack_files f
    WHERE (f.week, f.version, f.no) = (NEW.week, NEW.version, NEW.file_no) AND f.is_picture
      AND k.sha256 = f.sha256
      AND NOT EXISTS (
          SELECT FROM pack_files o
          WHERE o.is_picture AND o.sha256 = f.sha256 AND NOT EXISTS (
              SELECT FROM pack_withdrawals w
              WHERE (w.week, w.version, w.file_no) = (o.week, o.version, o.no)));
    RETURN NULL;
END $$;
CREATE TRIGGER withdraw_octets AFTER INSERT ON pack_withdrawals
    FOR EACH ROW EXECUTE FUNCTION withdraw_octets();

-- Octets go in no other way.
DROP TRIGGER pack_pieces_stay ON pack_pieces;
CREATE FUNCTION pack_pieces_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM pack_withdrawals w
               WHERE (w.week, w.version, w.file_no) = (OLD.week, OLD.version, OLD.file_no)) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'a pack that was built, and the facts of one, do not change'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'packs_stay';
END $$;
CREATE TRIGGER pack_pieces_stay BEFORE DELETE ON pack_pieces
    FOR EACH ROW EXECUTE FUNCTION pack_pieces_stay();

DROP TRIGGER pack_pictures_stay ON pack_pictures;
CREATE FUNCTION pack_pictures_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pack_files f
        WHERE f.is_picture AND f.sha256 = OLD.sha256 AND NOT EXISTS (
            SELECT FROM pack_withdrawals w
            WHERE (w.week, w.version, w.file_no) = (f.week, f.version, f.no))) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'a pack that was built, and the facts of one, do not change'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'packs_stay';
END $$;
CREATE TRIGGER pack_pictures_stay BEFORE DELETE ON pack_pictures
    FOR EACH ROW EXECUTE FUNCTION pack_pictures_stay();

-- Whoever masks a picture withdraws what shows it as it was, in the same transaction: its file, and
-- the Word file of each such version. Of a week whose last version showed it a further one is due.
CREATE FUNCTION withdraw_masked() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    shown record;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('pack pictures', 0));
    -- One that a process has kept for a version that is not built yet.
    DELETE FROM pack_pictures k WHERE k.sha256 = OLD.sha256
      AND NOT EXISTS (SELECT FROM pack_files f WHERE f.is_picture AND f.sha256 = k.sha256);
    FOR shown IN
        SELECT f.week, f.version, bool_or(w.file_no IS NULL) AS whole,
               f.version = (SELECT max(p.version) FROM packs p WHERE p.week = f.week) AS is_last
        FROM pack_files f LEFT JOIN pack_withdrawals w
            ON (w.week, w.version, w.file_no) = (f.week, f.version, f.no)
        WHERE f.is_picture AND f.sha256 = OLD.sha256
        GROUP BY f.week, f.version ORDER BY f.week, f.version
    LOOP
        CONTINUE WHEN NOT shown.whole;
        INSERT INTO pack_withdrawals (week, version, file_no, why, at)
        SELECT f.week, f.version, f.no, 'masked', NEW.masked_at FROM pack_files f
        WHERE (f.week, f.version) = (shown.week, shown.version)
          AND (f.is_picture AND f.sha256 = OLD.sha256 OR f.name = 'pack.docx')
        ON CONFLICT DO NOTHING;
        IF shown.is_last THEN
            UPDATE pack_weeks SET reports = reports + 1 WHERE week = shown.week;
        END IF;
    END LOOP;
    RETURN NULL;
END $$;
CREATE TRIGGER withdraw_masked AFTER UPDATE OF sha256 ON pictures FOR EACH ROW
    WHEN (NEW.sha256 IS DISTINCT FROM OLD.sha256) EXECUTE FUNCTION withdraw_masked();
