"""Settings of `glassfs serve` and `glassfs elastic`: their shape (`model`), where each came from, and what is wrong with
them. Knows no trace and no server."""
