"""When: schedules, recurrences, send hours, holidays."""
