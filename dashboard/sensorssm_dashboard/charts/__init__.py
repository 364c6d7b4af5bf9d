"""Pure functions from a Polars frame to an Altair chart; no page and no store is known here."""
