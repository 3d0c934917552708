"""Ways of sending of our own, where threads, edits in place, buttons or signatures matter; anything else goes by Apprise."""
