"""Every method that the pipeline, the command and the tables know: the poster's, the repaired ones, and others'."""

from .closed_form import centred, relay
from .others import daps, ddnm, ddrm, diffpir, mpgd, pigdm, reddiff
from .poster import METHODS as POSTER
from .poster import Method
from .spectral import spectral

# Colours that the colour-blind can tell apart: Okabe & Ito's for the poster's three, mostly Tol's for the others.
BEST = "spectral"  # where nothing is asked for: page 14 says what it gives away, and for what
METHODS = POSTER | {
    "centred": Method(centred, "centred", "#E69F00", ("spread",), False),
    "spectral": Method(spectral, "spectral", "#CC6677", ("spectrum",), False, 20),
    "relay": Method(relay, "relay", "#AA4499", ("spread", "switch"), True),
    "pigdm": Method(pigdm, "ΠGDM", "#56B4E9", (), True),
    "ddrm": Method(ddrm, "DDRM", "#882255", (), False),
    "ddnm": Method(ddnm, "DDNM", "#999933", (), False),
    "diffpir": Method(diffpir, "DiffPIR", "#332288", (), False),
    "reddiff": Method(reddiff, "RED-diff", "#88CCEE", (), False),
    "daps": Method(daps, "DAPS", "#661100", (), False),
    "mpgd": Method(mpgd, "MPGD", "#999999", (), False),
}
