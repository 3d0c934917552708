"""The gate as Postfix asks it: its policy delegation protocol (SMTPD_POLICY_README)."""
