"""Pages over the store: which asset needs you, why, and what to do next. No model is loaded here."""
