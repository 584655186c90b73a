"""Tests of orderd, on the real servers that `tools` starts."""
