"""Dead dead letters: find, filter, replay and discard them."""
