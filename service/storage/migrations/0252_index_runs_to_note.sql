-- Runs whose text may have to be noted in `sent_texts`: few at any time, whatever runs there were.
-- As long as it takes to read the runs once, no run begins and none is moved.
SET LOCAL lock_timeout = '5s';

-- squawk-ignore require-concurrent-index-creation
CREATE INDEX runs_to_note ON runs (settled_at)
    WHERE class IN ('public_interest', 'warning') AND kind <> 'reply' AND mode = 'real'
        AND (settled_at IS NULL OR text_noted_at IS NULL OR text_noted_at < settled_at);
