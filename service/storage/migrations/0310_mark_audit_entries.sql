-- The MAC of whoever wrote an entry, made with a key that comes from the master key and that the
-- database does not have. Entries from before have none; no later one may be without, and only the
-- owner of the table can change that: NOT VALID leaves out the rows that are there.
ALTER TABLE audit_entries ADD COLUMN mac bytea;
ALTER TABLE audit_entries ADD CONSTRAINT audit_entries_mac
    CHECK (mac IS NOT NULL AND octet_length(mac) = 24) NOT VALID;
