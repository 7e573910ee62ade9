-- What new never-words of a proposal would hold back, as it was counted when they were proposed.
ALTER TABLE lint_proposals ADD COLUMN holds jsonb NOT NULL DEFAULT '[]';
