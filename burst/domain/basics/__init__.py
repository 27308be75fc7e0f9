"""Words and values that every room shares: errors, instants, windows, canonical bytes, names, redaction."""
