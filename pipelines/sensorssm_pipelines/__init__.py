"""Everything with I/O: ingestion, the result store, recipes, jobs, alarms, the command line."""
