"""The daemon while something goes wrong: its servers, other daemons, itself."""
