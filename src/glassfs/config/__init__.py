"""Settings of `glassfs serve` and `glassfs elastic`: their shape (`model`) and where each came from. Knows no trace."""
