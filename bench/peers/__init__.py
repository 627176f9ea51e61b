"""What RuuviNet is measured against: ordinary, careful programs that do the same work.

Each verifies the signature, looks the gateway up, and stores the raw readings in dense history,
sparse history and latest, with the same columns and keys, in one transaction per request. What
they leave out (encrypted secrets, partitions, one bad tag among good ones, waking the alerts)
only makes them faster. Deliberately free of anything of RuuviNet's, and of types.
"""
