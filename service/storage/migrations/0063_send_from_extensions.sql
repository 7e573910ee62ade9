-- The extension number that a run leaves from, where it is not its department's: an answer leaves from the
-- number that was written to; '': from the bare number. NULL: from the one of the department.
ALTER TABLE runs ADD COLUMN extension text;

-- The registered extension number that a text was sent to; NULL: none.
ALTER TABLE inbound_texts ADD COLUMN extension text;
