"""What happened: case figures by week, area and kind of fraud, goals, bulletins, small counts."""
