"""One outside thing per module, each behind a port; foreign errors are translated here and nowhere else."""
