"""Templates, the library and lint over HTTP."""
