"""``python -m frugal.lpips_weights`` fetches the weights, once."""

from . import LPIPSUnavailable, fetch

try:
    fetch()
except LPIPSUnavailable as error:  # set-up goes on: the metric says so, and its column stays empty
    print(error)
