"""The database: engine, tables, migrations, fast writes, leases. What one feature asks of its tables stands beside that feature."""
