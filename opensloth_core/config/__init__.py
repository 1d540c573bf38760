"""Settings as pydantic models. Imports pydantic only, so that `--help` is instant."""
