"""The commands of orderctl, one module each."""
