-- A relay whose first level has passed it on fulfils a duty of kind `relay`; a list that was imported or
-- confirmed one of kind `roster`.

-- A wider check takes its place in the same transaction; obligations are some dozens.
-- squawk-ignore ban-drop-constraint
ALTER TABLE obligations DROP CONSTRAINT obligations_kind_check;
-- squawk-ignore constraint-missing-not-valid
ALTER TABLE obligations ADD CONSTRAINT obligations_kind_check CHECK (
    kind IN ('weekly_report', 'send', 'visits', 'relay', 'roster', 'custom'));

-- No foreign keys: they would look through all duties under a lock, and an empty list may be deleted.
ALTER TABLE duties ADD COLUMN evidence_relay_id uuid;
ALTER TABLE duties ADD COLUMN evidence_roster_id uuid;
ALTER TABLE duties ADD COLUMN evidence_import_id uuid;

-- No duty of these kinds can be there yet.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX duties_to_tick_by_relays ON duties (department_id) WHERE state = 'open' AND kind = 'relay';
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX duties_to_tick_by_lists ON duties (department_id) WHERE state = 'open' AND kind = 'roster';
