"""`orderctl notify`: notifications on record, sent again, and looked at before they are sent."""
