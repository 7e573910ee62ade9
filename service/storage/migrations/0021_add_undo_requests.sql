-- Taking an import back may take minutes, so it is asked for here and done by a worker. `undo` is what became
-- of it: {"state": "done", "links", "restored", "contacts"} or {"state": "refused", "code", "message"}.
ALTER TABLE imports
    ADD COLUMN undo_asked_at timestamptz,
    ADD COLUMN undo_asked_by uuid REFERENCES users,
    ADD COLUMN undo jsonb,
    ADD CONSTRAINT imports_undo_asked_check
        CHECK ((undo_asked_at IS NULL) = (undo_asked_by IS NULL)
               AND (undo_asked_at IS NULL OR undone_at IS NULL));
CREATE INDEX imports_undo_asked ON imports (undo_asked_at) WHERE undo_asked_at IS NOT NULL;
