"""The one road in: runs of collectors, mail that is posted or replayed, whose mail it was."""
