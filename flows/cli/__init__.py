"""The command line: parse, build a configuration, start one flow."""
