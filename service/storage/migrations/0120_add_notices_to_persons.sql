-- Notices to persons: whoever must approve, was returned a campaign, or has one that paused itself is
-- told by a text or a mail, if they asked for it. Nobody is told of the same twice: a notice is a row
-- of its own, unique on what happened and on the person.

-- The trigger below is put on a table that the old processes write.
SET LOCAL lock_timeout = '5s';

-- What each person asked for; no row, or no kinds: nothing.
CREATE TABLE notice_choices (
    user_id uuid PRIMARY KEY REFERENCES users ON DELETE CASCADE,
    kinds text[] NOT NULL CHECK (kinds <@ ARRAY['approval', 'returned', 'paused']),
    way text NOT NULL CHECK (way IN ('text', 'mail')),
    mail_cipher bytea,
    language text NOT NULL CHECK (language IN ('zh', 'en')),
    chosen_at timestamptz NOT NULL,
    CONSTRAINT mail_takes_an_address CHECK (way <> 'mail' OR mail_cipher IS NOT NULL)
);

-- The moves of campaigns of which nobody was told yet; emptied by whoever makes notices of them.
CREATE TABLE notice_causes (
    move_id bigint PRIMARY KEY REFERENCES campaign_moves,
    kind text NOT NULL
);

-- One mail to one person, of one or several notices. `leaving`: a process is at it, until `next_at`;
-- past that it may have left, is `uncertain`, and is not sent again.
CREATE TABLE notice_mails (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    state text NOT NULL DEFAULT 'waiting' CHECK (
        state IN ('waiting', 'leaving', 'sent', 'uncertain', 'given_up')),
    made_at timestamptz NOT NULL,
    next_at timestamptz NOT NULL,
    attempts smallint NOT NULL DEFAULT 0,
    error text NOT NULL DEFAULT '',
    ended_at timestamptz,
    CHECK ((ended_at IS NULL) = (state IN ('waiting', 'leaving')))
);
CREATE INDEX notice_mails_open ON notice_mails (next_at) WHERE state IN ('waiting', 'leaving');
CREATE INDEX notice_mails_made ON notice_mails (made_at);

-- One person is told of one move, by the run of a text or by a mail, or is not, with the reason.
CREATE TABLE notices (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    move_id bigint NOT NULL REFERENCES campaign_moves,
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    campaign_id uuid NOT NULL REFERENCES campaigns,
    kind text NOT NULL CHECK (kind IN ('approval', 'returned', 'paused')),
    due_at timestamptz NOT NULL,
    settled_at timestamptz,
    run_id uuid REFERENCES runs,
    mail_id uuid REFERENCES notice_mails,
    skipped text,
    CONSTRAINT told_of_a_move_once UNIQUE (move_id, user_id),
    CONSTRAINT notices_settled_one_way CHECK (
        num_nonnulls(run_id, mail_id, skipped) = (settled_at IS NOT NULL)::int)
);
CREATE INDEX notices_open ON notices (user_id, due_at) WHERE settled_at IS NULL;
CREATE INDEX notices_user ON notices (user_id, id);
CREATE INDEX notices_mail ON notices (mail_id) WHERE mail_id IS NOT NULL;
CREATE INDEX notices_run ON notices (run_id) WHERE run_id IS NOT NULL;

-- Written in the transaction of the move itself, so that no code can forget to. The first approval of
-- a warning leaves it waiting for another person, who was told when it was submitted.
CREATE FUNCTION note_cause() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    found text := CASE
        WHEN NEW.to_state = 'pending_approval' AND NEW.from_state <> 'pending_approval'
            THEN 'approval'
        WHEN NEW.to_state IN ('returned', 'rejected') THEN 'returned'
        WHEN NEW.to_state = 'paused' AND NEW.code = 'guard' THEN 'paused' END;
BEGIN
    IF EXISTS (SELECT FROM notice_choices WHERE found = ANY (kinds)) THEN
        INSERT INTO notice_causes (move_id, kind) VALUES (NEW.id, found);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER note_cause AFTER INSERT ON campaign_moves FOR EACH ROW
    EXECUTE FUNCTION note_cause();
