"""Who may ask what: keys, their scopes and customers."""
