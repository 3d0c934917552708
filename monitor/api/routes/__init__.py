"""What HTTP offers, a file per feature; each only translates."""
