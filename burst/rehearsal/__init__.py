"""The rehearsal: a simulated AWS on loopback. Its containers are real processes, and faults can be ordered in it."""
