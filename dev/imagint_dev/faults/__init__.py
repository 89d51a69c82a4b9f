"""Faults between an operator and what it talks to, for tests in the manner of Sieve (OSDI'22). Nothing else imports it."""
