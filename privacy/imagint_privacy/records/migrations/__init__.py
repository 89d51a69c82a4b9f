"""The steps that bring a tenant's database to the schema of this program; `database.migrate` runs them."""
