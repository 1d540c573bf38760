"""Prepared data as a person sees it: its ledger, its manifest, its examples token by token."""
