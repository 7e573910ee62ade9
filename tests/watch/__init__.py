"""Alert rules and the dashboard, and Debian's Prometheus beside a system that runs."""
