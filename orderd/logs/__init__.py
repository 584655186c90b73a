"""The log: its events, lines and stream."""
