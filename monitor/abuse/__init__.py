"""Cases of abuse: what is reported, until when it must be dealt with, whose turn it is."""
