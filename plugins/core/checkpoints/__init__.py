"""What a run leaves behind, how another one continues it, and what a run used."""
