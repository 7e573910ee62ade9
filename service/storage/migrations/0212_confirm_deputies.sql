-- A deputy whom somebody else than the absent approver names takes a second person: it widens what the
-- deputy may do.

ALTER TABLE deputies
    ADD COLUMN needs_second boolean NOT NULL DEFAULT false,
    ADD COLUMN confirmed_by uuid REFERENCES users,
    ADD COLUMN confirmed_at timestamptz,
    ADD CONSTRAINT deputies_two_persons CHECK (
        confirmed_by IS NULL OR confirmed_by <> named_by AND confirmed_by <> deputy_id),
    ADD CHECK ((confirmed_by IS NULL) = (confirmed_at IS NULL));

CREATE FUNCTION deputies_another_person() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM need_another_person('deputies_another_person',
        ARRAY[NEW.confirmed_by], ARRAY[NEW.named_by], NEW.confirmed_at);
    RETURN NULL;
END $$;
CREATE TRIGGER deputies_another_person AFTER UPDATE OF confirmed_by ON deputies
    FOR EACH ROW EXECUTE FUNCTION deputies_another_person();

-- Those from before stand in as they did.
CREATE FUNCTION deputies_for_others() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.needs_second := NEW.named_by <> NEW.absent_id;
    RETURN NEW;
END $$;
CREATE TRIGGER deputies_for_others BEFORE INSERT ON deputies
    FOR EACH ROW EXECUTE FUNCTION deputies_for_others();
