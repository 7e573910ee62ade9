-- What waits for a person is asked for often; of all fires few were missed.
CREATE INDEX campaign_fires_missed ON campaign_fires (campaign_id) WHERE outcome = 'missed';
