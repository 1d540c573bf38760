"""The report of a run: what happened, read from its event log, as Markdown and a picture."""
