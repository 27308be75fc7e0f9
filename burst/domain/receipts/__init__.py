"""What the ingest answered: counts and rates of receipts, and the rules that stop a hopeless burst early."""
