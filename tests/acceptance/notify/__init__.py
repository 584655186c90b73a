"""orderd-notify as a program, with real servers around it."""
