-- Reports of a week read the texts of handsets and the visits of its days alone.
SET LOCAL lock_timeout = '5s';

-- As long as it takes to read the texts once, a text from a handset waits to be read.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX inbound_texts_of_days ON inbound_texts (department_id, received_at);
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX visit_tries_day ON visit_tries (on_day);
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX household_tries_day ON household_tries (on_day);
