"""What a run gives away: one module a format."""
