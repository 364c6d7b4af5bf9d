"""Pages over the store: which asset needs you, why, and what to do next; no model loads here."""
