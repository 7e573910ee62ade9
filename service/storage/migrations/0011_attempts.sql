-- The hand-offs of a text that were followed, or are to be followed, by another one of the same text.

-- One row a hand-off that may have left and was not the last; the last one is in the ledger itself.
-- next_at: a passing failure, and when the text may leave again, at most once a text; null where it
-- may leave at once: on another lane, or by a person's word. While a message is queued and the row of
-- its present attempt has a next_at to come, it waits. part_count is kept, for another lane may cut
-- the text in another way.
CREATE TABLE attempts (
    run_id uuid NOT NULL,
    no integer NOT NULL,
    attempt integer NOT NULL,
    channel_id smallint NOT NULL,
    part_count smallint,
    state message_state NOT NULL,
    reason text,
    code text,
    marked_at timestamptz,
    submitted_at timestamptz,
    ended_at timestamptz,
    next_at timestamptz,
    PRIMARY KEY (run_id, no, attempt)
);

-- Texts that took a second lane before there was this table. When that was, nobody wrote down.
INSERT INTO attempts (run_id, no, attempt, channel_id, state, reason, code)
SELECT run_id, no, CASE state WHEN 'queued' THEN attempt ELSE greatest(attempt - 1, 0) END,
       first_channel_id, 'undelivered', 'ported', first_code
FROM messages WHERE first_channel_id IS NOT NULL;
