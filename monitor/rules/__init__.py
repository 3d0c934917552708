"""Rules: the model of a rule, its conditions, the bounds that counts prove. Pure."""
