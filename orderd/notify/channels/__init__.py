"""The ways out: a line in the log, mail, a POST to a web server."""
