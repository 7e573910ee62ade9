-- One entry that the sealer cannot read would stop all sealing: an instant or a number that Python does not have, details that are
-- no object, or nested beyond its stack. Only the owner can change that; NOT VALID leaves out the rows that are there.
ALTER TABLE audit_entries ADD CONSTRAINT audit_entries_readable CHECK (
    at >= '1970-01-01T00:00:00Z' AND at < '3000-01-01T00:00:00Z'
    AND jsonb_typeof(details) = 'object'
    AND NOT details @? '$.**{20 to last}'
    AND NOT details @? '$.** ? (@.type() == "number" && (@ > 1e400 || @ < -1e400))'
) NOT VALID;
