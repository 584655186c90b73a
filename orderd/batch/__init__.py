"""From deliveries to committed outcomes: decode, load, decide, persist, in one transaction."""
