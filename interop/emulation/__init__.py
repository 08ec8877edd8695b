"""One engine that plays any client of `interop.clients`, from message 1 to hanging up. Sans-IO."""
