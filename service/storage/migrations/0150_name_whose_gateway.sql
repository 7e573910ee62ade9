-- Whose gateway a channel leads to, so that this carrier's subscriber base may go over it. NULL: of the one carrier that
-- `carriers` names, unless the kind is a provider's interface; where there are several, of none.
ALTER TABLE channels ADD COLUMN operated_by text
    CHECK (operated_by IS NULL OR operated_by = ANY (carriers)); -- of an empty array, ANY is false, not null
