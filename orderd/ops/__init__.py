"""What surrounds the work: configuration, log, signals, service manager, back-off, crash points."""
