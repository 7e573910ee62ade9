-- Contacts that imports had made before they were noted: by the import of their first link. Without it
-- they would be taken for people made by hand, whom no undoing takes back.
UPDATE contacts c SET import_id = (
    SELECT l.import_id FROM links l WHERE l.contact_id = c.id ORDER BY l.id LIMIT 1)
WHERE c.import_id IS NULL;
