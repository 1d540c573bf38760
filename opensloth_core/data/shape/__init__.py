"""Rows of any layout to examples of one."""
