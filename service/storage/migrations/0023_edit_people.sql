-- People, lists and areas that persons edit: what was corrected by hand, and on what a list rests.

-- A correction by hand goes before what lists say; version: of what is shown, for If-Match.
ALTER TABLE contacts
    ADD COLUMN version integer NOT NULL DEFAULT 1,
    ADD COLUMN edited_at timestamptz,
    ADD COLUMN edited_by uuid,
    ADD CONSTRAINT contacts_edited_check CHECK ((edited_at IS NULL) = (edited_by IS NULL));

-- What the list is for, and the evidence of consent with its day. Confirmed: somebody said that it still
-- holds.
ALTER TABLE rosters
    ADD COLUMN purpose text NOT NULL DEFAULT '',
    ADD COLUMN evidence text NOT NULL DEFAULT '',
    ADD COLUMN evidence_on date,
    ADD COLUMN confirmed_at timestamptz,
    ADD COLUMN confirmed_by uuid REFERENCES users,
    ADD CONSTRAINT rosters_evidence_check CHECK ((evidence = '') = (evidence_on IS NULL)),
    ADD CONSTRAINT rosters_confirmed_check CHECK ((confirmed_at IS NULL) = (confirmed_by IS NULL));

-- Nobody publishes villages any more, and groups never were: users keep them. A group's code is its
-- village's and three more digits. The program's own list does not undo what a user changed.
ALTER TABLE areas
    DROP CONSTRAINT areas_code_check,
    ADD CONSTRAINT areas_code_check CHECK (code ~ '^[0-9]{12}([0-9]{3})?$'),
    DROP CONSTRAINT areas_level_check,
    ADD CONSTRAINT areas_level_check CHECK (
        level IN ('province', 'city', 'county', 'town', 'village', 'community', 'group')),
    ADD CONSTRAINT areas_group_check CHECK ((level = 'group') = (length(code) = 15)),
    ADD COLUMN edited_at timestamptz,
    ADD COLUMN edited_by uuid REFERENCES users;
