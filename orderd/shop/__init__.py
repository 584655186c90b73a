"""The shop: users, products and orders, and the rules by which commands change them."""
