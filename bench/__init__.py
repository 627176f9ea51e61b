"""`make bench`: how fast is `/record`, beside two honest peers on the same machine?

See README.md in this folder. Only ratios measured in one run mean anything.
"""
