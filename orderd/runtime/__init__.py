"""What any daemon needs: service manager, signals, health file, back-off, crash points."""
