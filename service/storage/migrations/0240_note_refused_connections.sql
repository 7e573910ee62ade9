-- What was refused to connections that somebody opened to a channel's listener: one row for each kind of refusal, with how often it
-- happened since `since`, with no hour without any in between, and the address of the last.
CREATE TABLE refused_connections (
    channel_id smallint NOT NULL REFERENCES channels ON DELETE CASCADE,
    why text NOT NULL CHECK (why IN ('stranger', 'displaced', 'wrong_login', 'locked_out')),
    times bigint NOT NULL CHECK (times > 0),
    address text NOT NULL,
    since timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    PRIMARY KEY (channel_id, why)
);
