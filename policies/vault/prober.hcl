# The prober: shows that Vault refuses an old ciphertext, without the right to see what it says: rewrap answers with ciphertext.

path "transit/rewrap/+" {
  capabilities = ["update"]
}

path "transit/keys/+" {
  capabilities = ["read"]
}
