"""Backups: one consistent copy of the database and every artifact in one place, and the way back."""
