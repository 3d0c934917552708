"""What a sender runs beside its MTA: tokens for its mails, suppressions tested on the spot; see README.md."""
