"""What the operator asks of the tenants' Gateways and of the prober, over HTTP."""
