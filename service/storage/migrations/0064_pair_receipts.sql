-- Receipts that fitted several hand-offs in doubt are looked at again, as those that wait are.

DROP INDEX receipts_unmatched_phone;
CREATE INDEX receipts_unmatched_phone ON receipts_unmatched (channel_id, phone_hash)
    WHERE why IN ('parked', 'ambiguous');
