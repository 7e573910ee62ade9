-- Entries that a newer list took off go some time later, though the list itself goes on for years; an import of
-- which that was done cannot be taken back any more.

ALTER TABLE imports ADD COLUMN left_erased boolean NOT NULL DEFAULT false;
CREATE INDEX links_left ON links (left_at) WHERE left_at IS NOT NULL;
