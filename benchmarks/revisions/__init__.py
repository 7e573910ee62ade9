"""One revision of the sources beside another, in turns on the same machine."""
