-- The reason that texts of a cancelled run end with, also those that come back later; NULL: that of a campaign.
ALTER TABLE runs ADD COLUMN cancel_reason text;
