"""`orderctl token`: keys for JWTs, tokens that they sign, and what the daemon says of a token."""
