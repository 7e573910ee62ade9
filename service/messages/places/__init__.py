"""Places where the words of texts are put up: screens, loudspeakers, boards, counters, machines."""
