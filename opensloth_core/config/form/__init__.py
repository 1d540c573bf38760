"""The settings as the form of a web page."""
