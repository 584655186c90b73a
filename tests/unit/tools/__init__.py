"""What a developer runs from the tree."""
