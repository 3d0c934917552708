"""Whatever limits sending: suspensions, and the index that senders are answered from."""
