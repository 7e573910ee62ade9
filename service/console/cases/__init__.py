"""Case figures: Monday's import with its repairs, the week's bulletin, goals, the public's page."""
