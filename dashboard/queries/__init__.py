"""SQL over one audit file; each function takes a connection and returns rows. Nothing here draws."""
