-- What a run was released with: the canonical text of what was approved, whose SHA-256 the approval binds, and
-- who submitted and approved it. An edit of a plan that fires again, or a drift of its audience, takes these from
-- the campaign; the evidence of what it had sent before must not change by that.

ALTER TABLE runs ADD COLUMN content text, ADD COLUMN release jsonb;
