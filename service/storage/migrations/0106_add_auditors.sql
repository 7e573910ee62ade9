-- An auditor reads the audit trail and reports, and is nothing else.
SET LOCAL lock_timeout = '5s';

-- Users are some hundreds, so what is there is looked at at once.
-- squawk-ignore ban-drop-constraint
ALTER TABLE users DROP CONSTRAINT users_roles_check;
-- squawk-ignore constraint-missing-not-valid
ALTER TABLE users ADD CONSTRAINT users_roles_check CHECK (
    roles <@ ARRAY['admin', 'operator', 'approver', 'viewer', 'inspector', 'auditor']);
-- squawk-ignore constraint-missing-not-valid
ALTER TABLE users ADD CONSTRAINT users_auditor_alone CHECK (
    NOT 'auditor' = ANY (roles) OR cardinality(roles) = 1 AND rights = '{}');
