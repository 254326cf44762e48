"""A machine runs what is on its server now, and keeps what it runs."""
