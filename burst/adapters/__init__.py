"""The outside world, one thing per module and one folder per world; foreign errors become burst's own here."""
