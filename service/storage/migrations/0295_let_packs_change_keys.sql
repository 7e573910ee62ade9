-- What a pack consists of stays; the key under which it is kept may change.
SET LOCAL lock_timeout = '5s';

DROP TRIGGER pack_pieces_stay ON pack_pieces;
CREATE TRIGGER pack_pieces_stay BEFORE DELETE ON pack_pieces
    FOR EACH ROW EXECUTE FUNCTION packs_stay();
CREATE TRIGGER pack_pieces_keep_their_place BEFORE UPDATE ON pack_pieces
    FOR EACH ROW
    WHEN ((NEW.week, NEW.version, NEW.file_no, NEW.no)
          IS DISTINCT FROM (OLD.week, OLD.version, OLD.file_no, OLD.no))
    EXECUTE FUNCTION packs_stay();

DROP TRIGGER pack_pictures_stay ON pack_pictures;
CREATE TRIGGER pack_pictures_stay BEFORE DELETE ON pack_pictures
    FOR EACH ROW EXECUTE FUNCTION packs_stay();
CREATE TRIGGER pack_pictures_keep_their_hash BEFORE UPDATE ON pack_pictures
    FOR EACH ROW WHEN (NEW.sha256 IS DISTINCT FROM OLD.sha256) EXECUTE FUNCTION packs_stay();
