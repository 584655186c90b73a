"""One module an entity: pure functions from the world and a command's content to an outcome."""
