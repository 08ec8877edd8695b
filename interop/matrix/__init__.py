"""The interop matrix: every client, in every position, through a whole life."""
