"""Tables: sources, columns, and the encoding of cells as numbers."""
