"""A user's own HogQL as typed tables: described before it is loaded, asked for without loss, paged past the row cap."""
