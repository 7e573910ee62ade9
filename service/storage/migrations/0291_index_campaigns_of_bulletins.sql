-- The page of a bulletin's notice asks for the campaigns that took figures of it. They are some hundreds a
-- year, so writing waits for a moment.
SET LOCAL lock_timeout = '5s';

-- squawk-ignore require-concurrent-index-creation
CREATE INDEX campaign_figures_week ON campaign_figures (figures_from);
