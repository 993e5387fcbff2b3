"""What the pages show: figures, players, tables, and the set-up that a page with a prior begins with."""
