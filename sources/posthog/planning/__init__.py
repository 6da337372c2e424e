"""What to ask for: which spans of time are due, and the requests that cover them."""
