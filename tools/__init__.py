"""What a user or developer runs from the tree: servers for a while, guests, images, the sandbox."""
