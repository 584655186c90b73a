"""Notifications: what happened, told to users and administrators over channels."""
