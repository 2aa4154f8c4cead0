"""An independent reference model of the Poolchain state transition.

The model is written from the protocol page alone and shares no code with the node: plain
dictionaries and integers, slow and obvious. Where both disagree, one of them misreads the page.
"""
