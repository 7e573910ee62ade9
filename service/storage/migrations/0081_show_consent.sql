-- What shows that the people of a file or of a whole list consented: where that is kept, the day, who asked
-- for it, in which way, and the wording that they agreed to (PIPL articles 13, 14 and 17).

ALTER TABLE imports
    ADD COLUMN evidence text NOT NULL DEFAULT '',
    ADD COLUMN evidence_on date,
    ADD COLUMN evidence_by text NOT NULL DEFAULT '',
    ADD COLUMN evidence_how text CHECK (evidence_how IN ('paper', 'online', 'sms', 'phone', 'in_person')),
    ADD COLUMN evidence_form text NOT NULL DEFAULT '',
    ADD CONSTRAINT imports_evidence_check CHECK (
        (evidence = '') = (evidence_on IS NULL)
        AND (evidence <> '' OR evidence_by = '' AND evidence_how IS NULL AND evidence_form = ''));

ALTER TABLE rosters
    ADD COLUMN evidence_by text NOT NULL DEFAULT '',
    ADD COLUMN evidence_how text CHECK (evidence_how IN ('paper', 'online', 'sms', 'phone', 'in_person')),
    ADD COLUMN evidence_form text NOT NULL DEFAULT '',
    ADD CONSTRAINT rosters_evidence_whole_check CHECK (
        evidence <> '' OR evidence_by = '' AND evidence_how IS NULL AND evidence_form = '');
