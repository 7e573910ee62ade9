-- How texts end, for /metrics: which channel had them, and in which state after a hand-off.
--
-- Whoever moves texts adds a row for each batch and waits for nobody, since no row is changed. The
-- scheduler replaces all rows of a channel and state by their sum every few seconds, so that reading
-- them stays cheap. The old processes go on: what they move is not counted.
CREATE TABLE text_ends (
    channel_id smallint NOT NULL,
    state message_state NOT NULL,
    texts bigint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
