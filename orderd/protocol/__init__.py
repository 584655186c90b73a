"""What goes over the wire: envelopes, strict JSON, replies, CloudEvents, headers and names."""
