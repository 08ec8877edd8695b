"""What the gateway counts, for Prometheus and what reads its text format."""
