"""The demo's sample data, written for this project, and the questions that show what was learned."""
