"""Every method that the pipeline, the command and the tables know: the poster's, the repaired ones, and others'."""

from .centred import centred, relay
from .rivals import daps, ddnm, ddrm, diffpir, mpgd, pigdm, reddiff
from .samplers import METHODS as POSTER
from .samplers import Method

# Colours that the colour-blind can tell apart: Okabe & Ito's for the poster's three, mostly Tol's for the others.
METHODS = POSTER | {
    "centred": Method(centred, "centred", "#E69F00", ("spread",)),
    "relay": Method(relay, "relay", "#AA4499", ("spread", "switch")),
    "pigdm": Method(pigdm, "ΠGDM", "#56B4E9", ()),
    "ddrm": Method(ddrm, "DDRM", "#882255", ()),
    "ddnm": Method(ddnm, "DDNM", "#999933", ()),
    "diffpir": Method(diffpir, "DiffPIR", "#332288", ()),
    "reddiff": Method(reddiff, "RED-diff", "#88CCEE", ()),
    "daps": Method(daps, "DAPS", "#661100", ()),
    "mpgd": Method(mpgd, "MPGD", "#999999", ()),
}
