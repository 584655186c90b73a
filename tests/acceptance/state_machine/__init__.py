"""Any sequence of commands and faults, against dictionaries as the model."""
