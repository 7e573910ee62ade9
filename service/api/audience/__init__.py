"""People, rosters, imports, segments and suppressions over HTTP."""
