"""`tocsin ctl`, the service from a shell: everything here asks the API, through the client."""
