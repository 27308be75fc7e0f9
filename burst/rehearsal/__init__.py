"""The rehearsal: a simulated AWS on loopback, in which containers are real processes and faults can be ordered."""
