"""L2TPv2 network server and PPP: wire codecs, sans-IO engines, data paths."""
