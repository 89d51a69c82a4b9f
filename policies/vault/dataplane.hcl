# The data plane: encrypts and decrypts with the one key named after its own namespace, and reads that key's versions.
# It can never create, rotate, trim or destroy a key, nor reach a neighbour's. One text serves every tenant: Vault fills in the
# namespace from the login; whoever installs this policy puts the accessor of the kubernetes auth mount in place of
# ${kubernetes_accessor}.

path "transit/encrypt/{{identity.entity.aliases.${kubernetes_accessor}.metadata.service_account_namespace}}" {
  capabilities = ["update"]
}

path "transit/decrypt/{{identity.entity.aliases.${kubernetes_accessor}.metadata.service_account_namespace}}" {
  capabilities = ["update"]
}

path "transit/keys/{{identity.entity.aliases.${kubernetes_accessor}.metadata.service_account_namespace}}" {
  capabilities = ["read"]
}
