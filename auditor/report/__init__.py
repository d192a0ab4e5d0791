"""One file a format, all of them from the same findings."""
