"""How the client talks: one exchange, what its faults mean, when to try again."""
