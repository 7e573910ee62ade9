"""Contact files into people and rosters, with a report and the rejected rows."""
