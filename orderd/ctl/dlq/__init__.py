"""Dead letters: find, filter, replay and discard them."""
