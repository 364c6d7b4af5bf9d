"""Jobs: each is one `run`, over a recipe and a store, with one report."""
