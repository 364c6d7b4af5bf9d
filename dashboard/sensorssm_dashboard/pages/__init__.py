"""One file a page; each answers the operator's questions in order, by ``page(store)``."""
