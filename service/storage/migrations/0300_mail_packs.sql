-- Whoever opens packs of weekly reports may have a mail of each version that was built.
SET LOCAL lock_timeout = '5s';

-- packs: a mail of each version of a pack is wanted; it goes to the address, whatever the way of
-- notices is.
ALTER TABLE notice_choices ADD COLUMN packs boolean NOT NULL DEFAULT false;

-- The version that a mail tells of; null: the mail is of notices, or of a code.
ALTER TABLE notice_mails ADD COLUMN pack_week text, ADD COLUMN pack_version integer;
ALTER TABLE notice_mails ADD CONSTRAINT notice_mails_pack_fkey
    FOREIGN KEY (pack_week, pack_version) REFERENCES packs NOT VALID;
ALTER TABLE notice_mails ADD CONSTRAINT notice_mails_of_a_version CHECK (
    num_nonnulls(pack_week, pack_version) IN (0, 2)) NOT VALID;
-- squawk-ignore require-concurrent-index-creation
CREATE UNIQUE INDEX notice_mails_of_packs ON notice_mails (pack_week, pack_version, user_id)
    WHERE pack_week IS NOT NULL;
