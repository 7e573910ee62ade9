"""Documents: Word and Excel files and pages to print, from tables and paragraphs; the one door to
the libraries that write them.
"""
