-- The WeChat ID (微信号) that a list says of a liaison, a counsellor, a class monitor or an owner of a
-- group. A new column without a default rewrites no row of `links`.
--
-- The check is the last guard of WECHAT_ROLES in service/audience/vocabulary/roles.py. No row that is
-- there has a WeChat ID yet, so it holds for all of them, and reading them all for VALIDATE would
-- say nothing.
ALTER TABLE links ADD COLUMN wechat_cipher bytea;
ALTER TABLE links ADD CONSTRAINT links_wechat_check CHECK (
    wechat_cipher IS NULL
    OR roles && ARRAY['liaison', 'counsellor', 'class_monitor', 'group_owner']) NOT VALID;
