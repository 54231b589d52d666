"""The compiled functions that Python calls. Nothing is compiled or loaded before the first call.

Spec: kernels.cache
"""

from refimpl.kernels.entry import Entry

decode = Entry("refimpl.kernels.loop", "decode")
bounds = Entry("refimpl.kernels.noise", "bounds")
quantize_head = Entry("refimpl.kernels.quantize", "quantize_head")
shortlist = Entry("refimpl.kernels.shortlist", "shortlist")
