"""`Tenant` → namespace, walls, rights, Vault key, Gateway; and, once deleted, nothing left to open."""
