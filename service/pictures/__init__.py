"""Pictures that belong to reports: what was photographed, made anew from its pixels alone."""
