"""Tables: where they come from, what their columns mean, and how cells become numbers."""
