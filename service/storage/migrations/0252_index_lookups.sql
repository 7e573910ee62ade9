-- How many numbers a person has looked up in the last hour.
CREATE INDEX disclosures_lookups ON disclosures (user_id, at) WHERE kind = 'lookup';
