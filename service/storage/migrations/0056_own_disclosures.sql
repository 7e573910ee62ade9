-- Whose data somebody saw in full or looked up; NULL: everybody's, looked up over all departments.
-- It is that department, and not the one of whoever looked, that is told of it.
ALTER TABLE disclosures ADD COLUMN holder_id uuid;

UPDATE disclosures d SET holder_id = coalesce(
    CASE d.kind
        WHEN 'contact' THEN (SELECT c.department_id FROM contacts c WHERE c.id = d.object_id::uuid)
        WHEN 'message' THEN (SELECT r.department_id FROM runs r
                             WHERE r.id = split_part(d.object_id, '.', 1)::uuid)
        WHEN 'inbound' THEN (SELECT t.department_id FROM inbound_texts t
                             WHERE t.id = d.object_id::uuid)
    END,
    d.department_id)
WHERE d.kind <> 'lookup' OR NOT EXISTS (
    SELECT FROM departments o WHERE o.id = d.department_id AND o.kind = 'county');
