"""To whom: contacts and rosters, the import of contact files, areas, segments, suppressions."""
