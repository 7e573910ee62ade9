-- What was done from the command line, which is rare, of the last month: every administrator sees what it gave to one of them.
CREATE INDEX audit_entries_machine ON audit_entries (at) WHERE via = 'cli';
