"""Events between the commit that made them true and the broker's confirm."""
