"""The inventory: whose mail is sent from where; what a change of it would do; its rows."""
