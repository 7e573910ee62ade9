-- What the suggested number makes of a rejected cell. Both are shown masked, and masked they may look
-- alike: the page says the repair in words. Rows that are there keep none.
SET LOCAL lock_timeout = '5s';

ALTER TABLE import_rejects ADD COLUMN repair text;
ALTER TABLE import_rejects ADD CONSTRAINT import_rejects_repair
    CHECK (repair IN ('lookalikes', 'digits_only')) NOT VALID;
