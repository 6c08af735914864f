"""From what a user asks for to cells, and from cells to records."""
