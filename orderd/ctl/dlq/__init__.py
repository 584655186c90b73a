"""Dead letters: find, group, replay, edit, keep and delete them."""
