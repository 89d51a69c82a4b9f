# The controller: may create tenant keys, read what they are, and sign evidence.
# It can never encrypt, decrypt, rewrap, export or back up anything, and it can destroy nothing: that is the shredder's.

# Create (allow-listed parameters: no exportable and no backup-able key can come into being) and read. For a key that is there,
# creating it again changes nothing.
path "transit/keys/+" {
  capabilities = ["create", "read", "update"]
  allowed_parameters = {
    "type"                   = ["aes256-gcm96"]
    "exportable"             = [false]
    "allow_plaintext_backup" = [false]
    "derived"                = [false]
    "convergent_encryption"  = [false]
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
