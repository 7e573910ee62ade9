"""PostgreSQL: the one door to the driver, and the migrations."""
