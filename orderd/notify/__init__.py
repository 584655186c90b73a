"""Notifications: what is told to users and administrators, over which channels, once each."""
