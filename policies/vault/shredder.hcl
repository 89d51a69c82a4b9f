# The shredder: may rotate, raise the minimums, trim and delete tenant keys.
# It can never encrypt, decrypt, rewrap, export or back up anything, can make no key, and signs no evidence: who destroys does
# not also testify to it.

path "transit/keys/+" {
  capabilities = ["read", "delete"]
}

# An empty list of allowed parameters would allow all of them.
path "transit/keys/+/rotate" {
  capabilities      = ["create", "update"]
  denied_parameters = {
    "*" = []
  }
}

# Exportable and allow_plaintext_backup cannot be switched on later: they are not in this list.
path "transit/keys/+/config" {
  capabilities = ["create", "update"]
  allowed_parameters = {
    "min_decryption_version" = []
    "min_encryption_version" = []
    "deletion_allowed"       = []
  }
}

path "transit/keys/+/trim" {
  capabilities = ["create", "update"]
  allowed_parameters = {
    "min_available_version" = []
  }
}
