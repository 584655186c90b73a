"""Tests of the image and of what runs it, with real containers."""
