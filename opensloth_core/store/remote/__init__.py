"""The artifact store that machines share, behind the local one of each."""
