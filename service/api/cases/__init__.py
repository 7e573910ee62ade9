"""Case figures over HTTP: files, figures, kinds of fraud, goals, bulletins."""
