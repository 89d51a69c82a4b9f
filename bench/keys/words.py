"""The words of the keys section: how each thing is measured and what it leaves out. Plain text."""

from __future__ import annotations

from typing import Final

HOW: Final = """\
One process, one thread. Our tree lies in SQLite as the product uses it (WAL, full synchronisation, secure deletion);
its own key service is the fake, whose microseconds cannot level the sizes; what a real Vault adds is
`vault_wrap_root_ms` for each commit that forgets. "Cold" is: our caches empty, the root confirmed, the operating
system's page cache as it is. "Warm": paths that the process has used before. Forgetting one is measured on all sizes
in turns. Raw AES-GCM starts from the same 32 bytes of a key and draws a nonce, as every record has to; beside a cipher
object that is kept ready (which cannot be wiped, so we keep none) see `seal_open_*_ready_ratio` in keys.json. Every
alternative is measured in the same run. This section is written by the command."""

MODEL: Final = """\
**The model.** The tree is a trie over a hash, so the number of subjects in one run of the hash is Poisson. With S
subjects to a full leaf and F(m) = P(Poisson(m) ≥ S), forgetting one among N rewrites

    nodes(N) = 2 + F(N/256) + F(N/256²) + F(N/256³) + …             the leaf, the root, the branches between
    bytes(N) = scale * (leaf + Σ over these branches (62 + 70 * children(N/256^j)))
    time(N)  = a + b * bytes(N)

No constant of nodes(N) is fitted; scale, a and b are, on the sizes below the largest (a slope b that noise tilts below
zero is taken as zero)."""

ALTERNATIVES: Final = """\
**Beside what others do.** *Naive*: one flat keyring in SQLite, three keys a subject under one master key; each erasure
draws a new master and wraps every survivor's keys anew; a straight line through the measured sizes gives the ones named
`extrapolated`. *Vault*: one transit key per subject on a real Vault, over one kept connection; destroying is two calls
(allow, delete). *Vacuum*: three rows of 1 KiB a subject in clear, `DELETE` of one subject, then `VACUUM` (SQLite, with
`secure_delete`) or `VACUUM FULL` (PostgreSQL): unlike forgetting a key, it reaches no backup, replica or snapshot."""

MIXES: Final = """\
**GDPRbench** (VLDB 13(7)), written anew from its description and workload files: 10,000 records of 100 bytes, as many
users, 25 purposes, 10 categories, 1,000 operations a round. *Controller*: insert, delete, update metadata by purpose,
by user, 25 % each, uniform. *Customer*: read, update, delete 20 % each, read and update metadata by purpose and by
user 10 % each, zipfian. *Processor*: read 20 %, read metadata by purpose and by user 40 % each, uniform. *Regulator*
(its file is absent from the repository; assumed): metadata by user 46 %, the last 100 deletions 31 %, verify a deletion
23 %, zipfian. "Without" is the same store, code path, tables, purpose gate, metadata and durability, with contents in
clear and no tree. Every operation runs on all sides before the next begins; medians of rounds. Records are deleted at
once; their keys are forgotten in groups of 100, within the time measured. The last column forgets each at once: a
commit and a call of Vault. As in the original, whoever a record is inserted for is known already; what a new subject
costs is `gdprbench_*_new_subject_overhead`."""
