"""What runs when, in which process."""
