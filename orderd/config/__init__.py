"""The settings: their sources, in layers, validated."""
