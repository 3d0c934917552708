"""What an SMTP reply means: pattern tables by provider, and the judgement drawn from them."""
