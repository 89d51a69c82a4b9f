"""The GDPRbench mixes (VLDB 13(7)), written anew from their description, on our store with and without its layer."""
