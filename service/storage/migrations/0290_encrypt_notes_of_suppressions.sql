-- What a person noted of a suppression may name somebody, so it is a cipher, as other words of persons are. `note` is the program's
-- own words. Null: the row is older, and its note is encrypted by the scheduler (encrypt_notes), which has the key.
ALTER TABLE suppressions ADD COLUMN note_cipher bytea;
CREATE INDEX suppressions_clear_note ON suppressions (id) WHERE note_cipher IS NULL AND note <> '';
