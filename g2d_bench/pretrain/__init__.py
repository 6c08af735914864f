"""Pre-training objectives and the loop that minimises them."""
