"""`os-train completion`: what shells offer, generated from the commands themselves."""
