"""From documents to a verdict: cases, gates, blockers, snapshots, and what is compared or signed afterwards."""
