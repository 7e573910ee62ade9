"""What fires: the run of a campaign, and the runs that follow it."""
