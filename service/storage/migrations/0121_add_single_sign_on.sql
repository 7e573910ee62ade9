-- Single sign-on: which account belongs to whom a provider of OpenID Connect has signed in.

-- The view below is read by the old processes.
SET LOCAL lock_timeout = '5s';

-- An account and the name that a provider has for its person (the subject). Whoever proposes a link
-- could name an identity of their own, and so be the user: it counts once somebody else confirms it,
-- and the proposer counts as the user wherever a second person is asked for.
CREATE TABLE sign_in_links (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    issuer text NOT NULL,
    -- Of issuer and subject together.
    subject_hash bytea NOT NULL,
    subject_cipher bytea NOT NULL,
    proposed_by uuid NOT NULL REFERENCES users,
    proposed_at timestamptz NOT NULL,
    confirmed_by uuid REFERENCES users,
    confirmed_at timestamptz,
    ended_at timestamptz,
    CONSTRAINT sign_in_links_two_persons CHECK (confirmed_by <> proposed_by),
    CHECK ((confirmed_by IS NULL) = (confirmed_at IS NULL))
);
CREATE UNIQUE INDEX sign_in_links_one_account ON sign_in_links (subject_hash)
    WHERE confirmed_at IS NOT NULL AND ended_at IS NULL;
CREATE UNIQUE INDEX sign_in_links_one_subject ON sign_in_links (user_id)
    WHERE confirmed_at IS NOT NULL AND ended_at IS NULL;
CREATE UNIQUE INDEX sign_in_links_one_waits ON sign_in_links (user_id)
    WHERE confirmed_at IS NULL AND ended_at IS NULL;

CREATE FUNCTION sign_in_links_another_person() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM need_another_person('sign_in_links_another_person',
        ARRAY[NEW.confirmed_by], ARRAY[NEW.proposed_by], NEW.confirmed_at);
    RETURN NULL;
END $$;
CREATE TRIGGER sign_in_links_another_person AFTER INSERT OR UPDATE OF confirmed_by ON sign_in_links
    FOR EACH ROW WHEN (NEW.confirmed_by IS NOT NULL)
    EXECUTE FUNCTION sign_in_links_another_person();
-- As in 0011: no temporary table takes the place of those that it reads.
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION sign_in_links_another_person() SET search_path = %I, pg_temp',
        current_schema());
END $$;

-- Who holds or held a secret of a user, and since when no more: as before, and who linked them.
CREATE OR REPLACE VIEW secret_holders AS
SELECT user_id, created_by AS holder_id, least(revoked_at, expires_at) AS ended_at
FROM keys WHERE activated_at IS NOT NULL AND created_by <> user_id
UNION ALL
SELECT user_id, given_by, ended_at FROM given_passwords
UNION ALL
SELECT user_id, proposed_by, ended_at FROM sign_in_links
WHERE confirmed_at IS NOT NULL AND proposed_by <> user_id;

-- The sign-ins that came back from the provider lately: none comes back twice.
CREATE TABLE sign_ins_used (
    state_hash bytea PRIMARY KEY,
    used_at timestamptz NOT NULL
);
