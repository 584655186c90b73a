"""What goes into orderd and what comes out: names, envelope, commands, rows, replies, events."""
