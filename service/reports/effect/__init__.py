"""Did it help? Cases beside the year before, a watch over weeks, towns beside chance."""
