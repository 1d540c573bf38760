"""Raw rows to packed shards: read, normalise, render, tokenise, mask, pack, shard."""
