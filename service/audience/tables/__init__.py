"""Files as tables: encodings, headers, workbooks."""
