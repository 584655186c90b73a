"""Private servers and daemons for tests, demo, sandbox and bench."""
