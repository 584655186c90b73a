"""What tests share: other servers, deliveries made by hand, strategies, odd clients."""
