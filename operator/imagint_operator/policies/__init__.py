"""`PrivacyPolicy` → editions in immutable ConfigMaps, the one in force by the clock, and tenants bound by it."""
