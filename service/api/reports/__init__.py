"""Coverage over HTTP: how many people there should be, and how many were reached."""
