"""`make bench NAME=keys`: what forgetting costs at 10^3 to 10^6 subjects, beside what others do."""
