"""Prefect tasks: retries, caching, logging; each body is one call into `opensloth_core`."""
