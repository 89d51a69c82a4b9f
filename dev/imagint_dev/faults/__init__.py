"""Faults between an operator and what it talks to, in the manner of Sieve (OSDI'22). Only tests import it."""
