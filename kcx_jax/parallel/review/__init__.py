"""People: the cases that no model resolved go out to them, and their decisions come back."""
