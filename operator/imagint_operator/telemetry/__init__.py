"""What can be seen of the operator from outside: traces, metrics, and the pages that describe them."""
