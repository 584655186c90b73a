"""Tests of orderd, and the harness that gives them real servers."""
