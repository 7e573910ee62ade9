-- How many people a unit's own list should hold is a denominator, too: list:NAME.
SET LOCAL lock_timeout = '5s';

-- It is put back at once, wider.
-- squawk-ignore ban-drop-constraint
ALTER TABLE denominators DROP CONSTRAINT denominators_kind_check;
ALTER TABLE denominators ADD CONSTRAINT denominators_kind_check
    CHECK (kind ~ '^([a-z_]+|list:.{1,60})$') NOT VALID;
