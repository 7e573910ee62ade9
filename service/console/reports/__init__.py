"""Reports: what campaigns amount to by week and carrier, channels by day, the audit trail."""
