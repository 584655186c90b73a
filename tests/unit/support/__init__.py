"""The documentation's rules, which nothing may slip through."""
