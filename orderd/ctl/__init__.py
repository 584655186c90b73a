"""`orderctl`: everything around the daemon, one module a command."""
