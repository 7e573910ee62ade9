-- A row that is inserted as confirmed is looked at as well: these triggers ran on updates alone, so whoever writes the tables could
-- insert the word of a second person who counts as the first. Not of keys: one that takes the place of another has its two persons.
DO $$
DECLARE
    t text;
    who text;
BEGIN
    FOR t, who IN VALUES
        ('users', 'given_confirmed_by'), ('direct_limits', 'confirmed_by'), ('grants', 'confirmed_by'), ('deputies', 'confirmed_by'),
        ('lint_proposals', 'confirmed_by'), ('area_renames', 'confirmed_by'), ('suppression_entries', 'decided_by')
    LOOP
        EXECUTE format('DROP TRIGGER %I ON %I', t || '_another_person', t);
        EXECUTE format(
            'CREATE TRIGGER %I AFTER INSERT OR UPDATE OF %I ON %I FOR EACH ROW WHEN (NEW.%I IS NOT NULL) EXECUTE FUNCTION %I()',
            t || '_another_person', who, t, who, t || '_another_person');
    END LOOP;
END $$;
