"""JSON Web Tokens: their keys, their signatures, their claims."""
