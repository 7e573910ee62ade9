-- Whoever confirms a change of lint or the name of an area counts as nobody who proposed it
-- (share_a_person).
CREATE FUNCTION lint_proposals_another_person() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM need_another_person('lint_proposals_another_person',
        ARRAY[NEW.confirmed_by], ARRAY[NEW.proposed_by], NEW.confirmed_at);
    RETURN NULL;
END $$;
CREATE TRIGGER lint_proposals_another_person AFTER UPDATE OF confirmed_by ON lint_proposals
    FOR EACH ROW EXECUTE FUNCTION lint_proposals_another_person();

CREATE FUNCTION area_renames_another_person() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM need_another_person('area_renames_another_person',
        ARRAY[NEW.confirmed_by], ARRAY[NEW.proposed_by], NEW.confirmed_at);
    RETURN NULL;
END $$;
CREATE TRIGGER area_renames_another_person AFTER UPDATE OF confirmed_by ON area_renames
    FOR EACH ROW EXECUTE FUNCTION area_renames_another_person();
