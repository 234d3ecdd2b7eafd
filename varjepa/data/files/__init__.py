"""Local files and folders: from any format and dialect to columns of plain types."""
