"""The rules of the county: what lint stops, hours, the calendar, caps; and what was set of them."""
