"""The ingest's answers: counts and rates of receipts, their table, and the rules that stop a hopeless burst early."""
