"""The ways of reading a table: one module each, and the registry that knows which table is read by which."""
