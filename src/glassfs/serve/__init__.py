"""The frame of `glassfs serve`: parts that run beside each other and fail alone. Knows no screen."""
