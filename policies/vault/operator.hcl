# The operator: may create, rotate, trim and destroy tenant keys and sign evidence.
# It can never encrypt, decrypt, rewrap, export or back up anything.

# Create (allow-listed parameters: no exportable and no backup-able key can come into being), read, destroy.
path "transit/keys/+" {
  capabilities = ["create", "read", "update", "delete"]
  allowed_parameters = {
    "type"                   = ["aes256-gcm96"]
    "exportable"             = [false]
    "allow_plaintext_backup" = [false]
    "derived"                = [false]
    "convergent_encryption"  = [false]
  }
}

path "transit/keys/+/rotate" {
  capabilities       = ["create", "update"]
  allowed_parameters = {}
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

# To attest that nobody's first encryption makes a key by accident.
path "transit/config/keys" {
  capabilities = ["read"]
}

path "evidence/sign/certificates" {
  capabilities = ["create", "update"]
}

path "evidence/keys/certificates" {
  capabilities = ["read"]
}
