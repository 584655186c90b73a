"""Who holds the rows and tables that a batch needs, and what is done meanwhile."""
