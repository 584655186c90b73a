"""What `orderctl status` looks at besides the parts, and how it tells of all."""
