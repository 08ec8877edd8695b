"""Certificates: names, identities, chains, revocation. No I/O: the time is an argument."""

import warnings

# Of names that others have made, "C=Germany": told once to nobody who could change it.
warnings.filterwarnings("ignore", "Attribute's length must be", UserWarning)
