"""The reference pages: every plan key, document field, gate, finding, exit code, command and fault, one table each."""
