"""The wire: frames, windows and sessions for all protocols, and one folder for each of them.

Codecs, windows and status tables are pure; `session` is where bytes meet a socket.
"""
