"""Examples to text by chat templates, and which characters are trained."""
