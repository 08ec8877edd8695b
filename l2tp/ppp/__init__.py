"""PPP: LCP, authentication and IPCP, sans-IO."""
