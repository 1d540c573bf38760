"""The artifact store: keys, locks, atomic commit, verification."""
